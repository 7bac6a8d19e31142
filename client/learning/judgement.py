"""The answer to an evaluation: counts over each client's rows, from whose sums the figures follow.

The common model is judged, and a client's own where the strategy has such. A client that lacks layers
of its model adds to a count of such clients, and to no figure (decision 0033).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from calyx.data.schema import Part, Schema
from calyx.machine.hardware import apply
from calyx.model.details import coarsen_details, no_details
from calyx.model.evaluation import evaluate
from calyx.model.metrics import PERSONAL, Evaluation, counts_of, figures, metric_name
from calyx.model.spread import spread_counts
from calyx.model.weights import Weights
from calyx.questions.layouts import over_of
from calyx.vector.contribution import Contribution
from calyx.vector.figures import Figures, as_row, none_of
from client import journal
from client.gate.assignment import scored_folds
from client.learning.contribution import Answer
from client.learning.preparation import Client, select_fold


@dataclass(frozen=True)
class _Subject:
    """One model to be judged: of whom, on which rows, and as what it is written down."""

    client: Client
    round: int  # whose model it is
    kind: Literal["evaluate", "test", "cv"]
    fold: dict[str, int]  # for the journal

    @property
    def rows(self) -> Literal["validation", "test"]:
        """The part of the client's rows."""
        return "validation" if self.kind == "evaluate" else "test"

    @property
    def part(self) -> Part:
        """These rows."""
        return self.client.data.parts[self.rows]


def judge(clients: Sequence[Client]) -> list[Answer]:
    """Judge the models of each client's order on its validation or test rows: a contribution a model.

    A scoring of folds judges each fold's model on the rows that it has not seen; where folds leave
    clients out, the one model that has not seen this client. A training judges the incoming model,
    which is that of the round before.
    """
    return [tuple(map(_judge, _models_of(client))) for client in clients]


def _models_of(client: Client) -> Iterator[_Subject]:
    order, name = client.assignment.order, client.assignment.site.name
    match order.kind:
        case "cv":
            for fold in scored_folds(order, name):
                yield _Subject(select_fold(client, fold), order.rounds, "cv", {"fold": fold})
        case "test":
            yield _Subject(client, order.round, "test", client.fold)
        case "train":
            yield _Subject(client, order.round - 1, "evaluate", client.fold)
        case _:
            yield _Subject(client, order.round, "evaluate", client.fold)


def _judge(subject: _Subject) -> Contribution:
    client, model, part = subject.client, subject.client.model, subject.part
    schema = client.data.task.schema
    over = over_of(client.assignment.sections.privacy)
    own = model.store.until(subject.round) if model.store else {}
    # Layers that nobody trained are no model: a client that lacks its own is counted, and not judged.
    result = None
    if model.objective.has_layers(model.makeup, own):
        result = _evaluate(subject, model.objective.localised(model.weights, own))
    prefix = "val_" if subject.rows == "validation" else "test_"
    told = _figures(subject, result).named(prefix)
    counts = counts_of(result, schema, over)
    if model.objective.personal() is not None:
        personal = _evaluate(subject, own) if own else None
        told |= _figures(subject, personal).named(f"{prefix}{PERSONAL}")
        counts |= counts_of(personal, schema, over, PERSONAL)
    if subject.rows == "test" and result is None:
        counts |= spread_counts(schema, None, 0) | no_details(schema, over)
    elif subject.rows == "test" and result is not None:
        counts |= spread_counts(schema, result.score, len(part))
        counts |= coarsen_details(result.beside, client.assignment.site.policy.min_cell)
    about = {"round": subject.round, **subject.fold, **as_row(told)}
    journal.write(subject.kind, **about, num_examples=len(part))
    # Outputs that are not finite are a count in the sum: a failure here would answer, of this client
    # alone, whether its rows make a chosen model diverge.
    return Contribution(1, {}, {}, counts)


def _figures(subject: _Subject, result: Evaluation | None) -> Figures:
    """This client's own figures, for its journal: loss and score; None is a model that it lacks."""
    schema: Schema = subject.client.data.task.schema
    names = ("loss", metric_name(schema))
    if result is None:
        return none_of(names, "it took part in no round, and has no model of its own")
    empty = f"there are no {subject.rows} rows"
    return figures(schema, counts_of(result, schema, "rows"), empty=empty).only(names)


def _evaluate(subject: _Subject, weights: Weights) -> Evaluation:
    model = subject.client.model
    net = model.load(weights).to(model.hardware.device)
    return evaluate(net, subject.part, apply(model.hardware), is_test=subject.rows == "test")
