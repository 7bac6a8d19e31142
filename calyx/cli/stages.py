"""The stages of a run in words, how far one is, and how often that is said where nothing is live."""

import time
from collections.abc import Callable

EVERY_S = 10.0  # between two lines that say only how far something is
_WHAT = {
    "reading": "reading rows",
    "query.name": "asking for names",
    "train": "training",
    "evaluate": "validating",
    "evaluate.test": "testing the best model",
    "baselines": "training baselines",
    "query.share": "encryption",
    "query.mask": "encryption",
    "query.consent": "encryption",
    "query.reveal": "encryption",
    "query.abandon": "encryption",
}


def stage_name(what: str) -> str:
    """A stage by what an engine calls it."""
    return _WHAT.get(what, what)


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
