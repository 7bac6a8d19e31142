"""Where something is that takes long before a run's display begins."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from calyx.cli.stages import Pace, progress_line

SHOWN_AFTER_S = 1.0  # on a terminal: what is quicker only flickers


class Waiting:
    """A context manager: on a terminal a line that goes away, elsewhere one every ten seconds.

    It writes to stderr, since what a command prints may be read by a program.
    """

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock, self._pace = clock, Pace(clock)
        self._is_terminal, self._began, self._is_shown = self._stream.isatty(), clock(), False

    def __enter__(self) -> "Waiting":
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the line away."""
        if self._is_shown:
            self._write("\r\x1b[K")

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        """So much of a stage is done."""
        line = f"{progress_line(what, done, total, detail)} …"
        if self._is_terminal:
            if self._clock() - self._began >= SHOWN_AFTER_S:
                self._is_shown = True
                self._write(f"\r{line}\x1b[K")
        elif self._pace.is_due():
            self._write(f"{line}\n")
            self._pace.restart()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
