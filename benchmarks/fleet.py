"""An operator, a consortium and sites for benchmarks and tests: real processes of the real program.

Each has a network namespace of its own where that is allowed; elsewhere all are on loopback.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Self

import yaml

from benchmarks.environments import make_environment, own_places
from benchmarks.network import Network, why_no_namespaces
from calyx.trust.measured import ROOT

OPERATOR, INTRUDER = "operator", "intruder"
POLICY: dict[str, Any] = {
    "privacy": "secagg",
    "n_min": 4,
    "h_min": 3,
    "max_colluders": 1,
    "sampling": "adversarial",
    "runs_a_day": None,
    "sums_a_day": None,
    "joins_a_day": None,
    "failures_a_day": None,
    "unfinished_a_day": None,
    "pace_s": 0,
    "leave_one_out": False,
    "statistics": None,
    "min_cell": 10,
    "bounds": None,
}
HARDWARE = {
    "name": "cpu",
    "device": "cpu",
    "threads": 1,
    "precision": "float32",
    "deterministic": True,
}


def wait_for(what: Callable[[], bool], seconds: float = 90.0) -> None:
    """Until `what` is true. Raises AssertionError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


class Fleet:
    """Folders and processes of a federation; use it as a context manager.

    `why_loopback` says why the machines are not apart, and is None where they are. `path` holds
    folders of packages with tasks of their own, which are installed for everybody, and signed.
    """

    def __init__(
        self, folder: Path, sites: Sequence[str], data: Path | None, path: Sequence[Path] = ()
    ) -> None:
        self.folder, self.sites, self.data = folder, tuple(sites), data
        self.why_loopback = why_no_namespaces()
        self.host, self.port, self.control = "127.0.0.1", 0, 0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.network: Network | None = None
        self._stack = ExitStack()
        self._path = tuple(path)
        self.python = sys.executable
        self._environment = {
            "COLUMNS": "200",
            "XDG_STATE_HOME": str(self.folder / "operator"),  # where an audit's sums are kept
        }

    def __enter__(self) -> Self:
        """Make machines and keys; nothing is started yet."""
        if self.why_loopback is None:
            hosts = (OPERATOR, *self.sites, INTRUDER)
            self.network = self._stack.enter_context(Network(hosts))
            self.host, self.port, self.control = self.network.address(OPERATOR), 9443, 9310
        else:
            self.port, self.control = _free_port(), _free_port()
        self._stack.callback(self.down)
        if self._path:
            places = [*self._path, ROOT, *own_places()]
            self.python = str(make_environment(self.folder / "venv", places))
        self._make_keys()
        return self

    def __exit__(self, *exception: object) -> None:
        """End every process, and the machines."""
        self._stack.close()

    def _make_keys(self) -> None:
        self.calyx("keys", "init", "--folder", "keys", "--host", self.host)
        self.calyx("keys", "consortium")
        (self.folder / "nodes").mkdir()
        for name in self.sites:
            self.calyx("keys", "site", name, "--folder", "sites")
            public = self.folder / "sites" / f"{name}.node.pub"
            (self.folder / "nodes" / public.name).write_bytes(public.read_bytes())
        publics = [f"sites/{name}.pub" for name in self.sites]
        self.calyx("keys", "roster", "--consortium", "consortium.key", "--out", "r.json", *publics)
        sign = ("keys", "manifest", "--consortium", "consortium.key", "--version", "1")
        found = distributions(path=[str(place) for place in self._path])
        tasks = [task for one in found for task in one.entry_points.select(group="calyx.tasks")]
        packages = [f"--package={task.module.partition('.')[0]}" for task in tasks]
        self.calyx(*sign, "--out", "manifest.json", *packages)

    def program(self, arguments: Sequence[str]) -> list[str]:
        """The words of a `calyx` command."""
        return [str(Path(self.python).with_name("calyx")), *arguments]

    def on(self, host: str, command: Sequence[str]) -> list[str]:
        """The words that run a command on a host."""
        return [*(self.network.within(host) if self.network else ()), *command]

    def environment(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        """Of every process of the fleet."""
        return os.environ | self._environment | dict(changes or {})

    def run(
        self,
        command: Sequence[str],
        host: str = OPERATOR,
        code: int = 0,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """A command on a host, to its end; what it said. Raises AssertionError for another code."""
        ended = subprocess.run(
            self.on(host, command),
            cwd=self.folder,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if ended.returncode != code:
            raise AssertionError(f"code {ended.returncode}: {ended.stdout}{ended.stderr}")
        return ended.stdout + ended.stderr

    def calyx(
        self,
        *arguments: str,
        host: str = OPERATOR,
        code: int = 0,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """The program, to its end."""
        return self.run(self.program(arguments), host, code, timeout, env)

    def script(self, path: Path, *arguments: object, host: str = OPERATOR) -> str:
        """A Python file, run by a host; what it printed. Files beside it hide no package (-P)."""
        return self.run([self.python, "-P", str(path), *map(str, arguments)], host)

    def site_file(
        self,
        name: str,
        policy: Mapping[str, Any] | None = None,
        client: Mapping[str, Any] | None = None,
        **changes: object,
    ) -> str:
        """Write NAME.yaml and return its name."""
        section = {
            "name": name,
            "data_dir": str(self.data) if self.data else None,
            "hardware": HARDWARE,
            "state_dir": f"state-{name}",
            "identity": f"sites/{name}.key",
            "roster": "r.json",
            "policy": POLICY | dict(policy or {}),
        }
        values = {
            "server": f"{self.host}:{self.port}",
            "authority": "keys/ca.crt",
            "node_key": f"sites/{name}.node.key",
            "manifest": "manifest.json",
            "client": section | dict(client or {}),
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values | changes))
        return path.name

    def start(
        self,
        name: str,
        command: Sequence[str],
        host: str = OPERATOR,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """A command on a host, under way; it writes to NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.on(host, command),
                cwd=self.folder,
                env=self.environment(env),
                stdout=log,
                stderr=log,
            )
        return self.processes[name]

    def said(self, name: str) -> str:
        """What NAME.log says."""
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def serve(self, env: Mapping[str, str] | None = None) -> None:
        """Start the server and wait until sites may come."""
        ports = ("--port", str(self.port), "--control-port", str(self.control))
        before = self.said("server").count("stops everything")
        self.start("server", self.program(("server", "--host", self.host, *ports)), env=env)
        wait_for(lambda: self.said("server").count("stops everything") > before)

    def join(self, **policy: object) -> None:
        """Start every site, and wait until all are connected."""
        wanted = sum(self.said(name).count("connected to") for name in self.sites) + len(self.sites)
        for name in self.sites:
            self.start_site(name, self.site_file(name, policy))
        wait_for(lambda: sum(self.said(n).count("connected to") for n in self.sites) >= wanted)

    def start_site(self, name: str, file: str) -> None:
        """Start a site, on its own machine."""
        self.start(name, self.program(("client", file)), host=name)

    @property
    def where(self) -> tuple[str, str]:
        """Options that say where the server is."""
        return (f"--control-port={self.control}", "--authority=keys/ca.crt")

    def submit(self, *overrides: str, code: int = 0, env: Mapping[str, str] | None = None) -> str:
        """A run, to its end."""
        options = (*self.where, "--roster=r.json")
        return self.calyx("submit", *options, *overrides, code=code, timeout=400, env=env)

    def kill(self, name: str) -> None:
        """kill -9, as a machine that loses its power."""
        self.processes[name].kill()
        self.processes[name].wait()

    def down(self) -> None:
        """End every process as Ctrl-C does, then those that stay."""
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
