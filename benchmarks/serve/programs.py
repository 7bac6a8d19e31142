"""The servers that are measured: ours as its page starts it, and peers in environments of their own."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine.programs import Failed, start, started
from benchmarks.environments import make_environment, own_places
from benchmarks.fleet import wait_for
from calyx.machine.ports import why_taken

LIMIT_S = 900
START_S = 90
_PROGRAM = "import sys; from calyx.cli.main import run; sys.exit(run(sys.argv[1:]))"


@dataclass(frozen=True)
class Peer:
    """A server of somebody else's."""

    name: str
    module: str  # of benchmarks/serve/peers/
    packages: tuple[str, ...]  # pinned; all else is this environment's


PEERS = (
    Peer("LitServe", "litserve_server", ("litserve==0.2.19", "pyzmq==27.3.0")),
    Peer(
        "BentoML",
        "bentoml_server",
        (
            *("bentoml==1.4.40", "a2wsgi==1.10.10", "aiohttp-asgi-connector==1.2.0"),
            *("aiohttp==3.14.5", "aiosqlite==0.22.1", "cattrs==23.1.2", "httpx-ws==0.9.0"),
            *("kantoku==0.18.3", "opentelemetry-instrumentation==0.66b1", "simple-di==0.1.5"),
            *("opentelemetry-semantic-conventions==0.66b1", "opentelemetry-api==1.45.1"),
            *("opentelemetry-instrumentation-aiohttp-client==0.66b1", "rich-toolkit==0.20.6"),
            *("opentelemetry-util-http==0.66b1", "opentelemetry-instrumentation-asgi==0.66b1"),
            *("opentelemetry-sdk==1.45.1", "pip-requirements-parser==32.0.1", "psutil==7.2.2"),
            *("click-option-group==0.5.10", "nvidia-ml-py==13.615.71", "schema==0.7.8"),
            *("python-json-logger==4.2.0", "python-multipart==0.0.34", "aiosignal==1.4.0"),
            *("aiohappyeyeballs==2.7.1", "asgiref==3.13.0", "frozenlist==1.8.0", "wsproto==1.3.2"),
            *("multidict==7.2.1", "propcache==0.5.4", "pyzmq==27.3.0", "tornado==6.6.1"),
            "yarl==1.25.1",
        ),
    ),
)


def run_calyx(folder: Path, *words: str) -> str:
    """One command of ours in `folder`, from this checkout; what it printed. Raises Failed."""
    return start(["env", f"--chdir={folder}", *program(*words)], environment(), LIMIT_S)


def program(*words: str) -> list[str]:
    """The command line of a command of ours."""
    return [sys.executable, "-c", _PROGRAM, *words]


def environment() -> Mapping[str, str]:
    """Ours, with this checkout first in Python's path."""
    root = str(Path(__file__).resolve().parents[2])
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": root}
    return {**os.environ, **quiet}


def make_peer(peer: Peer, folder: Path) -> Path:
    """The interpreter of the peer's environment in `folder`. Raises Failed where it cannot be made."""
    python, mark = folder / "bin" / "python", folder / "is-whole"
    wanted = "\n".join((*peer.packages, *map(str, own_places())))
    if mark.is_file() and mark.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    make_environment(folder, own_places())
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    try:
        start([*pip, *peer.packages], os.environ, LIMIT_S)
    except Failed as error:
        raise Failed(f"it cannot be installed: {error}") from None
    mark.write_text(wanted)
    return python


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a server's process and all below it have taken."""
    return sum(_family(pid).values()) / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> dict[int, int]:
    """A process and all below it, each with the ticks of processor time that it has taken."""
    parents, ticks = dict[int, int](), dict[int, int]()
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        one = int(place.parent.name)
        parents[one], ticks[one] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {pid}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    return {one: ticks[one] for one in family & ticks.keys()}


@contextmanager
def serving(command: Sequence[str], port: int, more: Mapping[str, str]) -> Iterator[int]:
    """A server while it runs, from the moment on that its port takes connections; its process."""
    with started(command, {**environment(), **more}) as process:
        wait_for(lambda: why_taken("127.0.0.1", port) is not None, START_S)
        try:
            yield process.pid
        finally:  # some have children in groups of their own, which outlive it
            for one in _family(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)


def peer_command(peer: Peer, python: Path, release: Path, port: int) -> list[str]:
    """How a peer is started on a release."""
    module = f"benchmarks.serve.peers.{peer.module}"
    if peer.name == "BentoML":
        at = ["--host", "127.0.0.1", "--port", str(port)]
        return [str(python), "-m", "bentoml", "serve", f"{module}:Service", *at]
    return [str(python), "-m", module, str(release), str(port)]
