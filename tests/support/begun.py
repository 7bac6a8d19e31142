"""The program in a process that is stopped before its end: killed, or by Ctrl-C."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from calyx.files.plain import read_lines
from support.program import Ended, run_here

PATIENCE_S = 60  # how long what must come may take on a machine that is busy


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait until `holds` does; fails with `what` if it never does."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.01)


def wait_for_rounds(folder: Path, number: int) -> None:
    """Wait until the run in `folder` has told of so many rounds."""
    wait_until(
        lambda: len(read_lines(folder / "rounds.jsonl")) >= number, f"round {number} never came"
    )


class Begun:
    """The program, begun in `folder` by a process that forked off this one and leads a group.

    Unlike a process that is started it has all imported already. As a context manager it leaves
    nothing behind.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        context = multiprocessing.get_context("fork")
        self._answer, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(theirs, folder, arguments))
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        """The process itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Kill what a test has left, which fails for it."""
        left = self._living()
        for process in left:
            os.kill(process, signal.SIGKILL)
        self._process.join()
        if exception[0] is None:
            assert not left, "a process was left behind"

    def kill(self) -> None:
        """kill -9 of the program alone; wait until its workers are gone as well."""
        self._process.kill()
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL, "the program had ended by itself"
        self._wait_until_gone()

    def interrupt(self) -> Ended:
        """Ctrl-C, which a terminal sends to the whole group; how the program ended."""
        os.killpg(self._group, signal.SIGINT)
        assert self._answer.poll(PATIENCE_S), "the program does not end"
        ended: Ended = self._answer.recv()
        self._process.join()
        self._wait_until_gone()
        return ended

    @property
    def _group(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def _wait_until_gone(self) -> None:
        wait_until(lambda: not self._living(), "a process was left behind")

    def _living(self) -> list[int]:
        found = []
        for file in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, group = file.read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue  # it has ended
            if int(group) == self._group and state != "Z":
                found.append(int(file.parent.name))
        return found


def _run(answer: Connection, folder: Path, arguments: tuple[str, ...]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as a shell starts a program
    answer.send(run_here(folder, *arguments))
