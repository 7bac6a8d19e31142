"""Where time goes: pieces of named work, by a clock that all processes of a machine share.

Nothing is recorded unless `record` was called; until then a span costs a few hundred nanoseconds. Of
nested spans the inner one has the time, so that the pieces of a thread never overlap. A worker takes
what it has recorded and sends it home, where it is added under its name. See decision 0080.
"""

import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, get_args

Phase = Literal[
    "load", "prepare", "train", "validate", "encode", "encrypt", "move", "aggregate", "write", "idle"
]  # fmt: skip
PHASES: tuple[Phase, ...] = get_args(Phase)
SERVER = "server"


@dataclass(frozen=True, slots=True)
class Piece:
    """Work on one thing, by the monotonic clock."""

    lane: str  # whose: the server, a worker, a thread beside
    phase: Phase
    started: float
    seconds: float


@dataclass
class Recorded:
    """What was recorded of a run so far."""

    started: float = field(default_factory=time.monotonic)
    pieces: list[Piece] = field(default_factory=list)
    rounds: list[tuple[int, float]] = field(default_factory=list)  # a round, when it began


class _Open(threading.local):
    """A thread's spans that have not ended, and since when each has had the time."""

    def __init__(self) -> None:
        self.stack: list[tuple[Phase, float]] = []


_recorded: Recorded | None = None
_open = _Open()
_NOTHING = nullcontext()


def record() -> None:
    """Record from now on, in this process; one that was forked forgets what its parent had recorded."""
    global _recorded
    _recorded = Recorded()
    _open.stack.clear()


def finish() -> Recorded | None:
    """What was recorded, and record no more; None where nobody asked for it."""
    global _recorded
    recorded, _recorded = _recorded, None
    return recorded


def begin_round(number: int) -> None:
    """A round of a training begins; 0 ends the last one."""
    if _recorded is not None:
        _recorded.rounds.append((number, time.monotonic()))


def take() -> list[Piece]:
    """What this process has recorded since it was asked last."""
    if _recorded is None:
        return []
    taken, _recorded.pieces = _recorded.pieces, []
    return taken


def add(lane: str, pieces: Iterable[Piece]) -> None:
    """Add what another process has recorded, under its name."""
    if _recorded is not None:
        _recorded.pieces += [Piece(lane, p.phase, p.started, p.seconds) for p in pieces]


def span(phase: Phase) -> AbstractContextManager[object]:
    """Inside, time is of this phase."""
    return _NOTHING if _recorded is None else _Span(phase)


class _Span:
    """A span of a thread; the one around it has no time meanwhile."""

    __slots__ = ("phase",)

    def __init__(self, phase: Phase) -> None:
        self.phase: Phase = phase

    def __enter__(self) -> None:
        now, stack = time.monotonic(), _open.stack
        if stack:
            _keep(*stack[-1], now)
        stack.append((self.phase, now))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        now, stack = time.monotonic(), _open.stack
        if not stack:  # recording began inside
            return
        _keep(*stack.pop(), now)
        if stack:
            stack[-1] = (stack[-1][0], now)


def _keep(phase: Phase, since: float, now: float) -> None:
    if _recorded is not None and now > since:
        thread = threading.current_thread()
        beside = "" if thread is threading.main_thread() else f", {thread.name}"
        _recorded.pieces.append(Piece(SERVER + beside, phase, since, now - since))
