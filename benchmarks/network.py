"""Machines of a benchmark or a test: network namespaces of its own making, joined by one bridge."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_COUNT = itertools.count()
_NAMES = Path("/etc/netns")  # where `ip netns exec` looks for files of a namespace's own


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20)


def why_no_namespaces() -> str | None:
    """In words, or None where this machine lets us make them."""
    name = f"calyx-try-{os.getpid()}"
    try:
        _ip("netns", "add", name)
        _ip("link", "add", "try0", "netns", name, "type", "bridge")
    except FileNotFoundError:
        return "the program ip is not installed"
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"network namespaces are not allowed here: {getattr(error, 'stderr', '') or error}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    return None


class Network:
    """One namespace a host, which reaches the others under 10.77.0.N and nothing else.

    `names` are names of the internet by host: what runs within a host knows their addresses.
    """

    def __init__(self, hosts: Sequence[str], names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})
        self._mark = f"calyx-{os.getpid()}-{next(_COUNT)}"
        self._hosts = {host: f"{self._mark}-{i}" for i, host in enumerate(hosts)}
        self._switch = f"{self._mark}-switch"

    def address(self, host: str) -> str:
        """The host's own."""
        return f"10.77.0.{list(self._hosts).index(host) + 1}"

    def within(self, host: str) -> list[str]:
        """The words that make a command run on a host."""
        return ["ip", "netns", "exec", self._hosts[host]]

    def set_link(self, host: str, state: str) -> None:
        """Pull a host's cable ("down"), or put it back ("up")."""
        port = f"port{list(self._hosts).index(host)}"
        _ip("-n", self._switch, "link", "set", port, state)

    def __enter__(self) -> Self:
        """Make them."""
        try:
            _ip("netns", "add", self._switch)
            _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "bridge", "up")
            for i, (host, name) in enumerate(self._hosts.items()):
                _ip("netns", "add", name)
                ends = ("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name")
                _ip(*ends, f"port{i}", "netns", self._switch)
                _ip("-n", self._switch, "link", "set", f"port{i}", "master", "bridge", "up")
                _ip("-n", name, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
                self._write_names(name)
                for device in ("lo", "eth0"):
                    _ip("-n", name, "link", "set", device, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _write_names(self, namespace: str) -> None:
        """A hosts file, which `ip netns exec` shows to what it starts."""
        if self._names:
            lines = [f"{self.address(host)} {name}" for host, name in self._names.items()]
            folder = _NAMES / namespace
            folder.mkdir(parents=True)
            (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def __exit__(self, *exception: object) -> None:
        """End them, with whatever link they had."""
        for name in (*self._hosts.values(), self._switch):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
            shutil.rmtree(_NAMES / name, ignore_errors=True)
