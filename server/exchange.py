"""One exchange with a cohort: what is asked of whom, and what came of it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calyx.errors import RoundFailed
from calyx.order import Abandoned, Kind, Link
from calyx.secagg.quantise import Residues
from calyx.secagg.vector import Aggregate
from server.sampling import Groups

LOST_GROUP = "its group has no sum"  # how the reason of a client begins that did nothing wrong


@dataclass(frozen=True)
class Exchange:
    """One order to a cohort, and the sums that answer it."""

    kind: Kind
    round: int
    attempt: int
    groups: Groups
    is_validated: bool = False  # a training that also validates the weights that it begins with
    previous: tuple[Link, ...] = ()  # the sums that made these weights
    abandoned: tuple[Abandoned, ...] = ()  # sums of earlier attempts that were given up

    @property
    def cohort(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(name for group in self.groups for name in group))


@dataclass
class Collected:
    """The sums of an exchange, before anything is decoded."""

    sums: dict[int, tuple[Residues, tuple[str, ...]]] = field(default_factory=dict)
    """Of each group that has one: the sum and whose vectors it holds."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Name → reason."""
    bytes_up: int = 0
    bytes_down: int = 0
    links: tuple[Link, ...] = ()
    abandoned: tuple[Abandoned, ...] = ()
    accused: frozenset[str] = frozenset()
    """Whom more clients accuse than may collude."""
    notes: tuple[str, ...] = ()
    """Sentences for events.jsonl."""
    is_repeatable: bool = True
    """Whether another attempt may ask for the same model again."""


@dataclass(frozen=True)
class Outcome:
    """What came of an exchange: sums, who is in them, who is not and why, and payload bytes."""

    exchange: Exchange
    trained: tuple[Aggregate, ...]  # one a group; none if nothing was trained
    evaluated: tuple[Aggregate, ...]  # one a group; none if nothing was evaluated
    collected: Collected

    @property
    def dropped(self) -> dict[str, str]:
        """Name → reason."""
        return self.collected.dropped

    @property
    def replies(self) -> int:
        """Clients in the sums."""
        return len(self.exchange.cohort) - len(self.dropped)


def mean_loss(groups: tuple[Aggregate, ...]) -> float:
    """Mean loss over all groups, weighted by examples."""
    weight = sum(a.weight for a in groups)
    return sum(a.metrics["loss"] * a.weight for a in groups) / weight


def total_count(groups: tuple[Aggregate, ...], name: str) -> NDArray[np.int64]:
    """A count summed over all groups."""
    total: NDArray[np.int64] = np.sum([a.counts[name] for a in groups], axis=0)
    return total


def accuracy_of(confusion: NDArray[np.int64]) -> float:
    """Share of a flattened confusion matrix [K·K] on its diagonal; 0.0 without rows."""
    size = round(len(confusion) ** 0.5)
    return int(np.trace(confusion.reshape(size, size))) / max(1, int(confusion.sum()))


class TooFewReplies(RoundFailed):
    """Too few clients are in an exchange's sums; `outcome` says who is missing and why."""

    def __init__(self, outcome: Outcome, required: int) -> None:
        # Who failed first, then who only lost a group by it.
        found = sorted(
            outcome.dropped.items(), key=lambda item: (item[1].startswith(LOST_GROUP), item)
        )
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found[:5])
        super().__init__(
            f"Round {outcome.exchange.round} ({outcome.exchange.kind}) has {outcome.replies} of "
            f"{len(outcome.exchange.cohort)} clients in its sums and needs {required} ({reasons})"
        )
        self.outcome = outcome
