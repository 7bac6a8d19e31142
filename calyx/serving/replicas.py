"""Several processes behind one address: they accept from one socket, and who dies is replaced.

The socket is made once and inherited, so that no other gateway can take the same port, and a connection
that waits to be accepted is not lost with a process. Children are forked before threads or PyTorch are
there. See docs/decisions/0087.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from calyx.errors import CalyxError, UserError, printable

log = logging.getLogger(__name__)
BACKLOG = 2048
_QUICK_S = 10.0  # a replica that lives shorter than this has not come up
_MOST_QUICK = 3  # of these in a row, after which no more are started


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at all addresses of `host`. Raises UserError where one cannot."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in sorted(set(found)):
            at = (str(address[0]), sockets[0].getsockname()[1] if sockets else port)
            sockets.append(socket.create_server(at, family=family, backlog=BACKLOG))
            sockets[-1].setblocking(False)
            sockets[-1].set_inheritable(True)
    except (OSError, UnicodeError, OverflowError) as error:
        for one in sockets:
            one.close()
        why = getattr(error, "strerror", None) or "that is no address"
        raise UserError(
            f"{printable(host, 80)}:{port} cannot be listened on: {why}; is another gateway there? Set "
            "serve.host and serve.port."
        ) from None
    return sockets


def prepare_metrics(folder: Path) -> None:
    """An empty folder for the counts of replicas, which are made for this start only. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        path.unlink(missing_ok=True)


class Replicas:
    """The parent of some processes, which does nothing but keep them running."""

    def __init__(
        self, count: int, run: Callable[[int], int], say: Callable[[str], None], metrics: Path
    ) -> None:
        """`run` is what replica 1 … `count` does in its own process; it returns the exit code."""
        self._count, self._run, self._say, self._metrics = count, run, say, metrics
        self._pids: dict[int, tuple[int, float]] = {}  # which replica, and when it was started
        self._is_stopping = False
        self._quick = 0
        self._alive, self._held = os.pipe()  # children see its end when this process is gone

    def keep(self) -> int:
        """Start all, replace whoever dies, and return the exit code when a signal has ended them."""
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda number, frame: self._stop())
        for replica in range(1, self._count + 1):
            self._start(replica)
        failed = 0
        while self._pids:
            pid, status = os.wait()
            if pid in self._pids:
                failed |= self._bury(pid, os.waitstatus_to_exitcode(status))
        return failed

    def _stop(self) -> None:
        self._is_stopping = True
        for pid in list(self._pids):
            os.kill(pid, signal.SIGTERM)

    def _bury(self, pid: int, code: int) -> int:
        """Replace a replica that has ended, unless all are to end; 1 where that is a failure."""
        replica, started = self._pids.pop(pid)
        for path in self._metrics.glob(f"gauge_live*_{pid}.db"):
            path.unlink(missing_ok=True)
        if self._is_stopping:
            return int(code not in (0, -signal.SIGTERM))  # one that was starting, too
        why = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        self._quick = self._quick + 1 if time.monotonic() - started < _QUICK_S else 0
        if self._quick >= _MOST_QUICK:
            self._say(f"Replica {replica} {why}, as others before it; the gateway ends.")
            self._stop()
            return 1
        self._say(f"Replica {replica} {why}; it is started again.")
        self._start(replica)
        return 0

    def _start(self, replica: int) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        pid = os.fork()
        if pid:
            self._pids[pid] = replica, time.monotonic()
            if self._is_stopping:  # a signal came since
                os.kill(pid, signal.SIGTERM)
            return
        code = 1
        try:
            code = self._become(replica)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)

    def _become(self, replica: int) -> int:
        """The child: it ends when its parent has, and Ctrl-C reaches it through the parent."""
        os.close(self._held)
        os.setpgid(0, 0)
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_DFL)
        threading.Thread(target=self._watch_parent, name="calyx-parent", daemon=True).start()
        try:
            return self._run(replica)
        except CalyxError as error:
            print(f"calyx: replica {replica}: {printable(str(error), 10_000)}", file=sys.stderr)  # noqa: T201
            return error.exit_code
        except Exception:
            log.exception("Replica %d failed", replica)
            return 1

    def _watch_parent(self) -> None:
        os.read(self._alive, 1)
        os.kill(os.getpid(), signal.SIGTERM)
