"""Groups a run's events, so that one that came fifty times is one row. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from calyx.run.rows import Event, Severity
from calyx.words.sentences import say_count

_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Finding:
    """Events of one severity, kind, client and message."""

    severity: Severity
    event: str
    client: str | None
    message: str
    times: int
    rounds: str  # "3", "3–17", or empty
    first_time: str


def group_events(events: Iterable[Event]) -> list[Finding]:
    """The worst first; within a severity by client, then in order of appearance."""
    groups: dict[tuple[Severity, str, str | None, str], list[Event]] = {}
    for event in events:
        key = (event.severity, event.event, event.client, event.message)
        groups.setdefault(key, []).append(event)
    findings = [
        Finding(*key, times=len(group), rounds=_rounds(group), first_time=group[0].time)
        for key, group in groups.items()
    ]
    return sorted(findings, key=lambda one: (_ORDER[one.severity], one.client or ""))


def count_severities(events: Iterable[Event]) -> str:
    """In words: "1 error, 3 warnings"; "none" where there is neither."""
    severities = [event.severity for event in events]
    counts = [(name, severities.count(name)) for name in ("error", "warning")]
    words = [say_count(count, name) for name, count in counts if count]
    return ", ".join(words) or "none"


def _rounds(group: list[Event]) -> str:
    rounds = [event.round for event in group if event.round is not None]
    if not rounds:
        return ""
    low, high = min(rounds), max(rounds)
    return str(low) if low == high else f"{low}–{high}"
