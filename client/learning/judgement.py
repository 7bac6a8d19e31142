"""The answer to an evaluation: counts over each client's rows, from whose sums the figures follow.

The common model is judged, and a client's own where the strategy has such. A client that lacks layers
of its model adds to a count of such clients, and to no figure (decision 0033).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from calyx.data.schema import Part
from calyx.machine.hardware import apply
from calyx.machine.spans import span
from calyx.model.attack import Attack, move_part
from calyx.model.attack_config import AttackConfig
from calyx.model.conformal import coarsen_conformal, conformal_terms
from calyx.model.details import coarsen_details, detail_terms
from calyx.model.evaluation import evaluate, evaluate_together
from calyx.model.metrics import (
    PERSONAL,
    ROBUST,
    Counts,
    Evaluation,
    counts_of,
    figures,
    metric_name,
)
from calyx.model.spread import spread_counts
from calyx.model.weights import Weights
from calyx.preprocessing.room import room_of
from calyx.questions.cv import scored_folds
from calyx.questions.evaluate import QUESTION as EVALUATE
from calyx.questions.question import Question
from calyx.questions.segments import over_of
from calyx.questions.test import QUESTION as TEST
from calyx.seeding import rng
from calyx.vector.contribution import Cells, Contribution, make_zeros
from calyx.vector.figures import Figures, as_row, none_of
from client import journal
from client.learning.contribution import Answer
from client.learning.preparation import Client, select_fold

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class _Subject:
    """One model to be judged: of whom, on which rows, and as what it is written down."""

    client: Client
    round: int  # whose model it is
    question: Question
    fold: dict[str, int]  # for the journal

    @property
    def rows(self) -> Literal["validation", "test"]:
        """The part of the client's rows."""
        return "test" if self.question.part == "test" else "validation"

    @property
    def part(self) -> Part:
        """These rows."""
        return self.client.data.parts[self.rows]

    @property
    def attack(self) -> AttackConfig | None:
        """How these rows are moved before the model is judged; None: not at all."""
        terms = self.client.assignment.order.terms
        return terms.robust if self.question.answer == "withstand" else None


def judge(clients: Sequence[Client]) -> list[Answer]:
    """Judge the models of each client's order on its validation or test rows: a contribution a model.

    A scoring of folds judges each fold's model on the rows that it has not seen; where folds leave
    clients out, the one model that has not seen this client. A training judges the incoming model,
    which is that of the round before.
    """
    return [tuple(map(_judge, _models_of(client))) for client in clients]


def judge_together(
    clients: Sequence[Client], alone: Sequence[Callable[[], AbstractContextManager[object]]]
) -> list[Answer]:
    """Judge the model that clients of one order all begin with, over the validation rows of all at once.

    For a strategy without models of clients' own. It is `judge` but for the last bits of outputs.
    `alone` makes for each client the context in which its journal is written.
    """
    subjects = [subject for client in clients for subject in _models_of(client)]
    model = clients[0].model
    parts, device = [subject.part for subject in subjects], apply(model.hardware)
    with span("validate"):
        results = evaluate_together(model.load(model.weights), parts, device)
    answers: list[Answer] = []
    for subject, result, within in zip(subjects, results, alone, strict=True):
        with within():
            answers.append((_tell(subject, result, {}),))
    return answers


def _models_of(client: Client) -> Iterator[_Subject]:
    assignment = client.assignment
    question, order = assignment.question, assignment.order
    if question.model == "folds":
        for fold in scored_folds(order, assignment.site.name):
            yield _Subject(select_fold(client, fold), order.rounds, question, {"fold": fold})
        return
    number = question.number(order.round) or 0
    yield _Subject(client, number, EVALUATE if question.trains else question, client.fold)


def _judge(subject: _Subject) -> Contribution:
    own = subject.client.kept(subject.round)
    return _tell(subject, _evaluate(subject, subject.client.load(own)), own)


def _tell(subject: _Subject, result: Evaluation | None, own: Weights) -> Contribution:
    """What is sent of a model's `result`; `own` is what the strategy has kept of its client."""
    client, part, schema = subject.client, subject.part, subject.client.data.task.schema
    over = over_of(client.assignment.sections.privacy)
    prefix = "val_" if subject.rows == "validation" else "test_"
    if subject.attack is not None:
        prefix += ROBUST
    counts = counts_of(result, schema, over)
    rows = counts if over == "rows" else counts_of(result, schema, "rows")
    told = _figures(subject, result, rows).with_prefix(prefix)
    if client.model.objective.personal() is not None:
        personal = _evaluate(subject, client.model.load(own) if own else None)
        rows = counts_of(personal, schema, "rows")
        told |= _figures(subject, personal, rows).with_prefix(f"{prefix}{PERSONAL}")
        counts |= counts_of(personal, schema, over, PERSONAL)
    beside, more = _withstand(subject, own)
    counts, told = counts | beside, told | more
    if subject.rows == "test" and result is None:
        terms = detail_terms(schema, over) + conformal_terms(schema, over)
        counts |= spread_counts(schema, None, 0) | make_zeros(terms)
    elif subject.rows == "test" and result is not None:
        counts |= spread_counts(schema, result.score, len(part))
        least = client.assignment.site.policy.min_cell
        beside = coarsen_conformal(result.beside, schema, least)
        counts |= coarsen_details(beside, least)
    about = {"round": subject.round, **subject.fold, **as_row(told)}
    journal.write(subject.question.kind, **about, num_examples=len(part))
    # Outputs that are not finite are a count in the sum: a failure here would answer, of this client
    # alone, whether its rows make a chosen model diverge.
    return Contribution(1, {}, {}, counts)


def _figures(subject: _Subject, result: Evaluation | None, rows: Counts) -> Figures:
    """Loss and score of this client alone, for its journal, of its counts over `rows`.

    Without a `result` it lacks the model.
    """
    schema = subject.client.data.task.schema
    names = ("loss", metric_name(schema))
    if result is None:
        return none_of(names, "it took part in no round, and has no model of its own")
    empty = f"there are no {subject.rows} rows"
    return figures(schema, rows, empty=empty).only(names)


def _withstand(subject: _Subject, own: Weights) -> tuple[dict[str, Cells], Figures]:
    """What a test counts beside, and tells: each model on the same rows, as they are moved against it."""
    client, counts, told = subject.client, dict[str, Cells](), Figures({})
    attack = client.assignment.order.terms.robust
    if subject.question.kind != TEST.kind or attack is None:
        return counts, told
    schema, over = client.data.task.schema, over_of(client.assignment.sections.privacy)
    has_personal = client.model.objective.personal() is not None
    for prefix in ("", PERSONAL) if has_personal else ("",):
        net = client.load(own) if not prefix else client.model.load(own) if own else None
        result = _evaluate(subject, net, attack)
        counts |= counts_of(result, schema, over, f"{ROBUST}{prefix}")
        figures_of = _figures(subject, result, counts_of(result, schema, "rows"))
        told |= figures_of.with_prefix(f"test_{ROBUST}{prefix}")
    return counts, told


def _evaluate(
    subject: _Subject, net: "nn.Module | None", attack: AttackConfig | None = None
) -> Evaluation | None:
    """What the model does on the subject's rows, moved where an `attack`, or its question, asks so."""
    if net is None:
        return None
    device, part = apply(subject.client.model.hardware), subject.part
    attack, is_test = attack or subject.attack, subject.rows == "test" and attack is None
    if attack is not None:
        client = subject.client
        room, seed = room_of(client.data.fitted), client.assignment.order.terms.seed
        draw = rng(seed, "robust", subject.round, client.data.name)
        part = move_part(net, part, Attack.of(attack, room, device), draw)
    with span("validate"):
        return evaluate(net, part, device, is_test=is_test)
