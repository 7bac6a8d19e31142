"""What a site answers within a day at most, whatever is asked. docs/secagg.md §11."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from calyx.secagg.refusals import Refusal, RefusalCode

DAY_S = 86400.0
EARLIEST = 1_767_225_600.0  # 2026-01-01: a clock that is before it is wrong


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
    if limits.is_open:
        return
    if now < EARLIEST:
        when = f"{datetime.fromtimestamp(now).astimezone():%Y-%m-%d %H:%M}"
        raise _refusal(f"This machine's clock says {when}: set it by NTP; limits of a day need it.")
    _check(limits.runs if is_start else None, day.starts, _runs)
    _check(limits.joins if is_join else None, day.joins, _joins)
    _check(limits.sums, day.sums, lambda n, again: f"{n} sums were answered within a day; {again}.")
    _check(limits.failures, day.failures, _failures)
    _check(limits.unfinished, day.unfinished, _unfinished)


def recent(times: Sequence[float], now: float) -> list[float]:
    """Those of the day before `now`."""
    return [time for time in times if now - time < DAY_S]


def _check(limit: int | None, times: Sequence[float], sentence: Callable[[int, str], str]) -> None:
    if limit is not None and len(times) >= limit:
        ends = datetime.fromtimestamp(sorted(times)[-limit] + DAY_S).astimezone()
        again = f"the next is answered from {ends:%Y-%m-%d %H:%M %Z} on"
        raise _refusal(sentence(limit, again))


def _runs(limit: int, again: str) -> str:
    return f"{limit} runs have begun within a day; {again}."


def _joins(limit: int, again: str) -> str:
    return (
        f"This client has met {limit} runs in their middle within a day, and cannot know how those "
        f"began; {again}, or see client.policy.joins_a_day."
    )


def _failures(limit: int, again: str) -> str:
    return (
        f"{limit} orders failed on this client's rows within a day, and each tells something of "
        f"them; {again}, or see client.policy.failures_a_day."
    )


def _unfinished(limit: int, again: str) -> str:
    return (
        f"{limit} orders were taken within a day for which no vector left, and each answer says when "
        f"its work was done; {again}, or see client.policy.unfinished_a_day."
    )


def _refusal(sentence: str) -> Refusal:
    return Refusal(RefusalCode.DAILY_LIMIT, sentence)
