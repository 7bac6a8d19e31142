"""One exchange with a cohort: what is asked of whom, and what came of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calyx.errors import RoundFailed
from calyx.model.metrics import PERSONAL
from calyx.model.populations import Population, population_of
from calyx.questions.evaluate import QUESTION as EVALUATE
from calyx.questions.question import Question
from calyx.questions.registry import question_of
from calyx.questions.segments import Contents
from calyx.run.order import Abandoned, Link
from calyx.vector.contribution import Aggregate, Cells
from calyx.vector.figures import Figures
from calyx.vector.quantise import Residues
from calyx.words.sentences import MOST_NAMED
from server.config import RunConfig
from server.sampling import Groups, required_replies

UNSOUND = "its group's sum is unsound"  # how the reason begins of all clients of such a sum
LOST_GROUP = "its group has no sum"  # how the reason of a client begins that did nothing wrong


@dataclass(frozen=True)
class Exchange:
    """One question to one cohort: what its order says beside what all orders of the run say."""

    kind: str
    round: int
    groups: Groups
    attempt: int = 1
    is_validated: bool = False  # a training that also validates the weights that it begins with
    previous: tuple[Link, ...] = ()  # the sums that made these weights
    abandoned: tuple[Abandoned, ...] = ()  # sums of earlier attempts that were given up
    min_replies: int | None = None  # of a part of a question, its share; None: the run's own
    best: int = 0  # the best round so far, of which clients keep what is their own; 0: none yet

    @property
    def question(self) -> Question:
        """What is asked. Raises ConfigError for a kind that is not installed."""
        return question_of(self.kind)

    @property
    def cohort(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(name for group in self.groups for name in group))


def required_of(run: RunConfig, exchange: Exchange) -> int:
    """Clients that an exchange must have in its sums."""
    least = run.min_replies if exchange.min_replies is None else exchange.min_replies
    return required_replies(least, len(exchange.cohort))


@dataclass(frozen=True)
class GroupSum:
    """The sum of a group's vectors, before it is decoded."""

    total: Residues
    names: tuple[str, ...]  # whose vectors it holds


@dataclass(frozen=True)
class GroupSums:
    """What one attempt of an exchange brought, before anything is decoded."""

    sums: Mapping[int, GroupSum]  # by group; a group without a sum is not in it
    dropped: Mapping[str, str]  # client that is in no sum → reason
    bytes_up: int
    bytes_down: int
    links: tuple[Link, ...] = ()  # of each encrypted sum, in the order of `sums`
    abandoned: tuple[Abandoned, ...] = ()  # proofs that this attempt's sums can never be opened
    accused: frozenset[str] = frozenset()  # whom more clients accuse than may collude
    notes: tuple[str, ...] = ()  # sentences for events.jsonl about shares that do not fit
    is_repeatable: bool = True  # whether another attempt may ask for the same model again


@dataclass(frozen=True)
class OddSum:
    """What looks wrong in a group's sum, and may be an honest one all the same."""

    group: int
    sentence: str


@dataclass(frozen=True)
class Outcome:
    """What came of an exchange: what the sums say, who is in them, and who is not and why."""

    exchange: Exchange
    sums: GroupSums
    dropped: Mapping[str, str]  # name → reason; those of unsound sums, too
    trained: tuple[Aggregate, ...] = ()  # one a group; none if nothing was trained
    folds: tuple[tuple[Aggregate, ...], ...] = ()  # evaluations of each group: one, or one a fold
    counted: tuple[Aggregate, ...] = ()  # of a question that neither learns nor judges, one a group
    odd: tuple[OddSum, ...] = ()

    @property
    def evaluated(self) -> tuple[Aggregate, ...]:
        """One a group; none if nothing was evaluated. Of a cross-validation, the first fold's."""
        return tuple(folds[0] for folds in self.folds)

    def figures(self, contents: Contents) -> Figures:
        """What the question says of its sums; of a training that also validated, what validates says.

        Raises ValueError for a question whose sums are no figures.
        """
        question = EVALUATE if self.exchange.question.trains else self.exchange.question
        if question.say is None:
            raise ValueError(f"the sums of {question.kind} are no figures")
        return question.say(contents, total_counts(self.counted or self.evaluated))

    def populations(self, contents: Contents) -> dict[str, Population]:
        """Of whom the figures of its evaluation are: by "", and `PERSONAL` of models beside."""
        cohort, counts = self.exchange.cohort, total_counts(self.evaluated)
        names = [name for name in cohort if name not in self.dropped]
        populations = {}
        for prefix in ("", PERSONAL) if contents.has_personal else ("",):
            own = {k.removeprefix(prefix): v for k, v in counts.items() if k.startswith(prefix)}
            populations[prefix] = population_of(contents.task.schema, own, names, len(cohort))
        return populations

    @property
    def replies(self) -> int:
        """Clients in the sums."""
        return len(self.exchange.cohort) - len(self.dropped)

    @property
    def num_capped(self) -> int:
        """Clients of a training that count as fewer rows than they have."""
        return int(total_counts(self.trained)["capped"][0]) if self.trained else 0


def mean_loss(groups: tuple[Aggregate, ...]) -> float:
    """Mean loss over all groups, weighted by examples."""
    weight = sum(a.weight for a in groups)
    return sum(a.metrics["loss"] * a.weight for a in groups) / weight


def total_counts(groups: tuple[Aggregate, ...]) -> dict[str, Cells]:
    """Counts summed over all groups, by name."""
    return {k: np.sum([a.counts[k] for a in groups], axis=0) for k in groups[0].counts}


class TooFewReplies(RoundFailed):
    """Too few clients are in an exchange's sums; `outcome` says who is missing and why."""

    def __init__(self, outcome: Outcome, required: int) -> None:
        self.outcome = outcome
        cohort, dropped = outcome.exchange.cohort, outcome.dropped
        lost = [name for name in cohort if dropped.get(name, "").startswith(LOST_GROUP)]
        self.at_fault = {n: dropped[n] for n in cohort if n in dropped and n not in lost}
        """Name → reason of those who gave nothing, without those who only lost their group by it."""
        self.answered = [name for name in cohort if name not in self.at_fault]
        alone = {n: why for n, why in self.at_fault.items() if not why.startswith(UNSOUND)}
        reasons = [f"{n}: {reason}" for n, reason in list(alone.items())[:MOST_NAMED]]
        if len(alone) > MOST_NAMED:
            reasons.append(f"and {len(alone) - MOST_NAMED} more")
        unsound = Counter(why for n, why in self.at_fault.items() if n not in alone)
        reasons += [f"{n} clients: {reason}" for reason, n in unsound.most_common(MOST_NAMED)]
        groups = Counter(dropped[name] for name in lost).most_common(MOST_NAMED)
        reasons += [f"{count} others: {reason}" for reason, count in groups]
        super().__init__(
            f"Round {outcome.exchange.round} ({outcome.exchange.kind}) has {outcome.replies} of "
            f"{len(cohort)} clients in its sums and needs {required} ({'; '.join(reasons)})"
        )
