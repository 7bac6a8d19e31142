"""The engine `superlink`: Flower's own server behind our gateway, as one foreground command.

The SuperLink and its control interface listen on loopback only, in process isolation with a
secret; a superexec starts the server app of each run from the installed packages. Everything that
is started here is ended here.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from calyx.errors import CalyxError, UserError, quote_command
from calyx.files.outputs import write_whole
from calyx.files.plain import inner, read_bounded
from calyx.fleet.gateway import Behind, make_gateway
from calyx.fleet.guard import Limits
from calyx.flower.bell import bind_bell
from calyx.flower.environment import flower_environment
from calyx.flower.messages import Operator
from calyx.machine.ports import why_taken
from calyx.trust.bounded_http import in_words
from calyx.trust.certificates import check_pair, check_signed, describe
from calyx.trust.key_files import PRIVATE_MODE

log = logging.getLogger(__name__)
START_S = 60.0  # that a SuperLink may take to answer
MAX_RESTARTS, RESTARTS_S = 5, 600.0


@dataclass(frozen=True)
class Serving:
    """Where a server listens, and where its keys and its state lie."""

    host: str
    port: int  # of the gateway
    control_port: int  # on loopback, for the operator
    keys: Path  # ca.crt, server.crt, server.key
    nodes: Path  # NAME.node.pub of every site
    state: Path

    @property
    def behind(self) -> str:
        """HOST:PORT of the SuperLink's control interface, on loopback."""
        return f"127.0.0.1:{self.control_port}"

    @property
    def authority(self) -> Path:
        """The certificate that signed the server's."""
        return self.keys / "ca.crt"


class Processes:
    """SuperLink and superexec; leaving the block ends both."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, list[str]] = {}
        self._restarts: list[float] = []
        self.bell = bind_bell()

    def __enter__(self) -> "Processes":
        """Start them, and wait until the SuperLink answers. Raises CalyxError."""
        serving = self._serving
        serving.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = serving.state / "superexec.secret"
        if not secret.exists():
            write_whole(secret, os.urandom(32), PRIVATE_MODE)
        try:
            self._start("superlink", *self._superlink(secret))
            self._wait()
            self._start("superexec", *self._superexec(secret))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """End both, in the order that loses nothing."""
        started_last_first = list(self._running.values())[::-1]
        for process in started_last_first:
            process.terminate()
        for process in started_last_first:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running = {}

    def check(self) -> None:
        """Raise CalyxError if one has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise self._explain_end(name)

    def mend(self) -> str | None:
        """Start again what has ended by itself, and say what; a run that it cut off can be resumed.

        Raises CalyxError where that has happened too often.
        """
        for name, process in self._running.items():
            if process.poll() is None:
                continue
            now = time.monotonic()
            self._restarts = [then for then in self._restarts if now - then < RESTARTS_S] + [now]
            if len(self._restarts) > MAX_RESTARTS:
                raise self._explain_end(name)
            self._start(name, *self._commands[name])
            return f"the {name} had ended (code {process.returncode}) and was started again"
        return None

    def _explain_end(self, name: str) -> CalyxError:
        return CalyxError(
            f"The {name} has ended (code {self._running[name].returncode}); its log is "
            f"{self._serving.state / name}.log."
        )

    def _superlink(self, secret: Path) -> list[str]:
        keys = self._serving.keys
        return [
            "flower-superlink",
            *("--host", "127.0.0.1", "--port", str(self._serving.control_port)),
            *("--ssl-certfile", str(keys / "server.crt")),
            *("--ssl-keyfile", str(keys / "server.key")),
            *("--ssl-ca-certfile", str(self._serving.authority)),
            "--enable-supernode-auth",
            *("--isolation", "process", "--superexec-auth-secret-file", str(secret)),
            *("--database", str(self._serving.state / "state.db")),
            "--disable-runtime-dependency-installation",
        ]

    def _superexec(self, secret: Path) -> list[str]:
        return [
            "flower-superexec",
            *("--runtime-api-address", self._serving.behind),
            *("--root-certificates", str(self._serving.authority)),
            *("--superexec-auth-secret-file", str(secret), "--parent-pid", str(os.getpid())),
        ]

    def _start(self, name: str, program: str, *arguments: str) -> None:
        self._commands[name] = [program, *arguments]
        programs = Path(sys.executable).parent
        with open(self._serving.state / f"{name}.log", "ab", opener=inner) as output:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own environment's program
                [sys.executable, "-I", str(programs / program), *arguments],
                env=flower_environment(self._serving.state, self.bell.getsockname()[1]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C comes to us alone, and we end them in order
            )

    def _wait(self) -> None:
        operator = Operator(self._serving.behind, self._serving.authority)
        deadline = time.monotonic() + START_S
        while True:
            self.check()
            try:
                operator.runs()
            except httpx.HTTPError as error:  # not up yet; all else would not mend itself
                if time.monotonic() > deadline:
                    log_file = self._serving.state / "superlink.log"
                    raise CalyxError(
                        f"The SuperLink did not answer in {START_S:.0f} s ({in_words(error)}); "
                        f"its log is {log_file}."
                    ) from None
                time.sleep(0.2)
            else:
                return


def settle_sites(serving: Serving) -> list[str]:
    """Let those sites connect whose keys are in the folder `nodes`, and no others; what has changed.

    Raises UserError for a key that cannot be registered.
    """
    operator, wanted = Operator(serving.behind, serving.authority), _node_keys(serving)
    changes, known = [], set()
    for node in operator.nodes():
        if wanted.get(node.name) == node.public_key:
            known.add(node.name)
        else:
            operator.unregister(node.node_id)
            changes.append(
                f"removed {node.name}{', whose key has changed' * (node.name in wanted)}"
            )
    for name in wanted.keys() - known:
        operator.register(name, wanted[name])
        changes.append(f"registered {name}")
    return sorted(changes, key=lambda line: line.startswith("registered"))


def _node_keys(serving: Serving) -> dict[str, bytes]:
    """Public node keys (PEM) by the names of the sites. Raises UserError for what is no file."""
    return {
        path.name.removesuffix(".node.pub"): read_bounded(path, 2**14)
        for path in sorted(serving.nodes.glob("*.node.pub"))
    }


def check_ports(serving: Serving) -> None:
    """Refuse before anything is started. Raises UserError."""
    for host, port in ((serving.host, serving.port), ("127.0.0.1", serving.control_port)):
        reason = why_taken(host, port)
        if reason:
            raise UserError(
                f"{host}:{port} cannot be listened on ({reason}); see --host, --port and "
                "--control-port, and whether a `calyx server` runs already."
            )


def check_files(serving: Serving) -> None:
    """Refuse before anything is started. Raises UserError."""
    for name in ("ca.crt", "server.crt", "server.key"):
        if not (serving.keys / name).is_file():
            raise UserError(
                f"There is no {serving.keys / name}; make it with "
                f"`{quote_command('calyx', 'keys', 'init', '--folder', serving.keys)} --host HOST`."
            )
    now, certificate = datetime.now(UTC), serving.keys / "server.crt"
    check_pair(certificate, serving.keys / "server.key")
    check_signed(certificate, serving.authority)
    for path in (certificate, serving.authority):
        if describe(path).days_left(now) < 0:
            raise UserError(
                f"{path} has ended, and no site would trust it: see `calyx keys renew`."
            )
    if not serving.nodes.is_dir():
        raise UserError(f"There is no folder {serving.nodes} with the sites' .node.pub files.")


def serve_gateway(serving: Serving, processes: Processes, tell: Callable[[str], None]) -> None:
    """Serve the gateway in this process until interrupted; what was restarted is told.

    Raises CalyxError where SuperLink or superexec cannot be kept alive.
    """
    import threading

    from calyx.fleet.listening import GatewayServer, with_files

    limits = with_files(Limits())
    behind = Behind(serving.behind, serving.authority, processes.bell, _node_keys(serving))
    app = make_gateway(behind, serving.state / "audit.jsonl", limits)
    server = GatewayServer(app, serving.host, serving.port, serving.keys, limits)
    failed: list[CalyxError] = []

    def watch() -> None:
        while not server.should_exit:
            try:
                said = processes.mend()
                if said:
                    tell(said)
            except CalyxError as error:
                failed.append(error)
                server.should_exit = True
            time.sleep(0.5)

    threading.Thread(target=watch, daemon=True).start()
    server.run()
    server.should_exit = True
    if failed:
        raise failed[0]
