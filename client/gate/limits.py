"""What a site answers within a day at most, whatever is asked. docs/secagg.md §11.

Times are kept in the order in which they were written, and longer than a day: a clock that leaps
ahead and is set right makes none of them forgotten, and one that is set back makes none count twice.
See docs/decisions/0026.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from calyx.secagg.refusals import Refusal, RefusalCode

DAY_S = 86400.0
CLOCK_S = 300.0  # that a clock may be set back without its being worth a line
KEPT = 100_000  # times of one kind; a day in which more happens ends no limit
EARLIEST = 1_767_225_600.0  # 2026-01-01: a clock that is before it is wrong

_RUNS = "{limit} runs have begun within a day; {again}."
_SUMS = "{limit} sums were answered within a day; {again}."
_JOINS = (
    "This client has met {limit} runs in their middle within a day, and cannot know how those "
    "began; {again}, or see client.policy.joins_a_day."
)
_FAILURES = (
    "{limit} orders failed on this client's rows within a day, and each tells something of "
    "them; {again}, or see client.policy.failures_a_day."
)
_UNFINISHED = (
    "{limit} orders were taken within a day for which no vector left, and each answer says when "
    "its work was done; {again}, or see client.policy.unfinished_a_day."
)


@dataclass(frozen=True)
class Limits:
    """What is answered within a day at most; None: any number."""

    runs: int | None
    sums: int | None
    failures: int | None  # that came of this client's rows
    joins: int | None = None  # runs that it first met in their middle
    unfinished: int | None = None  # orders for which no vector left

    @property
    def is_open(self) -> bool:
        """Whether nothing is limited, as in simulation."""
        return all(value is None for value in vars(self).values())


@dataclass(frozen=True)
class Day:
    """Times of what happened within a day, in seconds since the epoch, each in its order."""

    starts: Sequence[float]  # of runs, of joins too
    joins: Sequence[float]
    sums: Sequence[float]  # orders taken
    failures: Sequence[float]
    unfinished: Sequence[float]  # orders taken for which no vector has left


def check_day(limits: Limits, day: Day, now: float, *, is_start: bool, is_join: bool) -> None:
    """Whether one more order fits into the day before `now`. Raises Refusal (`daily-limit`)."""
    if now < EARLIEST:
        raise _refusal(
            f"This machine's clock says {_local(now)}: set it by NTP; limits of a day need it."
        )
    _check(limits.runs if is_start else None, day.starts, _RUNS)
    _check(limits.joins if is_join else None, day.joins, _JOINS)
    _check(limits.sums, day.sums, _SUMS)
    _check(limits.failures, day.failures, _FAILURES)
    _check(limits.unfinished, day.unfinished, _UNFINISHED)


def recent(times: Iterable[float], now: float) -> list[float]:
    """Those of the day before `now`."""
    return [time for time in times if now - time < DAY_S]


def note(times: list[float], now: float) -> None:
    """One more, and the oldest forgotten where there are too many."""
    times.append(now)
    del times[:-KEPT]


def forget(times: dict[str, float]) -> None:
    """The oldest of named times, where there are too many."""
    while len(times) > KEPT:
        del times[next(iter(times))]


def to_come(times: Iterable[Iterable[float]], now: float) -> float:
    """The latest of all, if that is to come by a clock that may be right; else 0."""
    latest = max((time for one in times for time in one), default=0.0)
    return latest if EARLIEST <= now < latest - CLOCK_S else 0.0


def clock_sentence(latest: float, now: float) -> str:
    """Of a ledger whose latest time is after `now`."""
    return (
        f"The ledger has times up to {_local(latest)}, and this machine's clock says {_local(now)}: "
        "it was ahead then, or is behind now. Those times count as of now, so that they end a day "
        "from now; set the clock by NTP."
    )


def _local(time: float) -> str:
    return f"{datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M %Z}"


def _check(limit: int | None, times: Sequence[float], sentence: str) -> None:
    """Raise Refusal where the limit is reached; `sentence` has places for `limit` and `again`."""
    if limit is not None and len(times) >= limit:
        again = f"the next is answered from {_local(sorted(times)[-limit] + DAY_S)} on"
        raise _refusal(sentence.format(limit=limit, again=again))


def _refusal(sentence: str) -> Refusal:
    return Refusal(RefusalCode.DAILY_LIMIT, sentence)
