"""How far a stage of a run is, in words: as a line that goes away, or one every ten seconds."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from calyx.questions.registry import questions

EVERY_S = 10.0  # between two lines that say only how far something is
_WHAT = {
    "reading": "reading rows",
    "query.name": "asking for names",
    "baselines": "training baselines",
    "query.share": "encryption",
    "query.mask": "encryption",
    "query.consent": "encryption",
    "query.reveal": "encryption",
    "query.abandon": "encryption",
}


def stage_name(what: str) -> str:
    """How a stage is called on the screen, by the name that an engine gives it."""
    asked = {question.message_type: question.shown for question in questions().values()}
    return (_WHAT | asked).get(what, what)


def progress_line(what: str, done: int, total: int, detail: str = "") -> str:
    """How far a stage is, as one line."""
    of = "models" if what == "baselines" else "clients"
    return f"{stage_name(what)}: {done} of {total} {of}{detail and f' · {detail}'}"


class Pace:
    """Whether it is time for another line: ten seconds after the last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def is_due(self) -> bool:
        """Whether ten seconds have gone by without a line."""
        return self._clock() - self._last >= EVERY_S

    def restart(self) -> None:
        """A line was printed, whatever it said."""
        self._last = self._clock()


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
        """Begin to wait: nothing is shown in the first second."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the line away that was shown last."""
        if self._is_shown:
            self._write("\r\x1b[K")

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Show that `done` of `total` of a stage are done, where it is time for that."""
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
