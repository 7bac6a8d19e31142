"""The tables of docs/serve.md, "Limits and stealing", from what was measured."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.stealing.membership import Attack

DASH = "–"


@dataclass(frozen=True)
class Theft:
    """How far one thief comes: agreement of its substitute with the victim on test rows."""

    victim: str
    thief: str
    policy: str
    asked: int  # rows
    agreement: float


@dataclass(frozen=True)
class Guarded:
    """The same against the detector: rows until it alarms and stops, and what is stolen by then."""

    victim: str
    thief: str
    slowed_after: int | None
    stopped_after: int | None
    answered: int  # of 10,000 rows
    agreements: tuple[float | None, ...]  # by policy; None: nothing was answered
    prada_after: int | None


@dataclass(frozen=True)
class Alarms:
    """False alarms over callers of one kind."""

    victim: str
    kind: str
    callers: int
    slowed: int
    stopped: int
    prada: int


@dataclass(frozen=True)
class Told:
    """Membership inference on one victim."""

    victim: str
    attack: Attack


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield _row(head)
    yield _row("---" for _ in head)
    yield from map(_row, rows)
    yield ""


def _percent(share: float | None) -> str:
    return DASH if share is None or share != share else f"{100 * share:.1f} %"


def _after(rows: int | None) -> str:
    return "never" if rows is None else f"{rows:,}"


def thefts(found: Sequence[Theft]) -> Iterator[str]:
    """Thieves by row, policies by column; in a cell the agreements in percent by numbers of queries."""
    policies = list(dict.fromkeys(one.policy for one in found))
    asked = sorted({one.asked for one in found})
    shares = {(o.victim, o.thief, o.policy, o.asked): f"{100 * o.agreement:.1f}" for o in found}
    rows = [
        (*pair, *(" / ".join(shares[*pair, policy, n] for n in asked) for policy in policies))
        for pair in dict.fromkeys((one.victim, one.thief) for one in found)
    ]
    yield f"Rows asked: {' / '.join(f'{n:,}' for n in asked)}; agreement in percent."
    yield ""
    yield from _table(("model", "thief's rows", *policies), rows)


def guarded(found: Sequence[Guarded], policies: Sequence[str]) -> Iterator[str]:
    """What the detector leaves to a thief, by these policies."""
    head = (
        "model",
        "thief's rows",
        "slowed after",
        "stopped after",
        "answered",
        *policies,
        "PRADA",
    )
    rows = [
        (
            o.victim,
            o.thief,
            _after(o.slowed_after),
            _after(o.stopped_after),
            f"{o.answered:,}",
            *map(_percent, o.agreements),
            _after(o.prada_after),
        )
        for o in found
    ]
    yield from _table(head, rows)


def alarms(found: Sequence[Alarms]) -> Iterator[str]:
    """Callers that were suspected, of those that steal nothing."""
    head = ("model", "ordinary traffic", "callers", "slowed", "stopped", "PRADA alarms")
    yield from _table(
        head, ((o.victim, o.kind, o.callers, o.slowed, o.stopped, o.prada) for o in found)
    )


def memberships(found: Sequence[Told]) -> Iterator[str]:
    """What answers tell of who was trained on."""
    head = ("model", "answers", "attack", "members told at 1 % false", "area under the curve")
    yield from _table(
        head,
        (
            (
                o.victim,
                o.attack.policy,
                o.attack.name,
                _percent(o.attack.tpr),
                f"{o.attack.auc:.3f}",
            )
            for o in found
        ),
    )
