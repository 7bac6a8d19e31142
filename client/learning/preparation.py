"""The first step of an answer: the rows that the gate has admitted, as the model sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calyx.model.weights import Weights, unstack
from calyx.run.folds import CV_RUN, fold_run
from client.gate.assignment import AssignedModel, Assignment
from client.rows.data import ClientData, prepare_rows, with_all_tested

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Client:
    """One client that answers about a model: what it is asked, the model, and its own data."""

    assignment: Assignment
    model: AssignedModel
    data: ClientData

    @property
    def fold(self) -> dict[str, int]:
        """For the journal: the fold whose training this is, if any."""
        cv = self.assignment.order.terms.cv
        return {} if cv is None or cv.fold is None else {"fold": cv.fold}

    def kept(self, round: int) -> Weights:
        """What the strategy keeps of this client with the model of a round; nothing where it keeps none."""
        return self.model.store.until(round) if self.model.store else {}

    def load(self, kept: Weights) -> "nn.Module | None":
        """The model as this client has it; None where it lacks layers that nobody sends.

        Layers that were never trained are no model (decision 0033).
        """
        model = self.model
        if not model.objective.has_layers(model.makeup, kept):
            return None
        return model.load(model.objective.localised(model.weights, kept))


def prepare(assignments: Sequence[Assignment]) -> list[Client]:
    """Preprocess each client's rows as its order asks; for a scoring of folds, those of the first fold.

    Raises ClientFailure where a value would be missing, and ValueError for an order without a model.
    """
    return [_prepare(assignment) for assignment in assignments]


def _prepare(assignment: Assignment) -> Client:
    if assignment.model is None:
        raise ValueError("only a question about a model needs prepared rows")
    fold = None
    if (cv := assignment.order.terms.cv) is not None:
        fold = 0 if cv.fold is None and isinstance(cv.k, int) else cv.fold
    return Client(assignment, assignment.model, _prepare_rows(assignment, fold))


def _prepare_rows(assignment: Assignment, fold: int | None) -> ClientData:
    terms, site = assignment.order.terms, assignment.site
    cfg = assignment.sections.preprocessing
    return prepare_rows(terms, cfg, site.name, site.data_dir, fold)


def select_fold(client: Client, fold: int) -> Client:
    """Give the client one fold's model of a cross-validation, and as test rows those it has not seen."""
    order, model = client.assignment.order, client.model
    run = order.run  # nothing is kept in it: a client that is left out has no model of its own
    if order.terms.cv is None or isinstance(order.terms.cv.k, int):
        unseen = _prepare_rows(client.assignment, fold)
        run = fold_run(order.run.removesuffix(CV_RUN), fold)
    else:
        unseen = with_all_tested(client.data, client.assignment.rows)
    store = None if model.store is None else replace(model.store, run=run)
    model = replace(model, weights=unstack(model.weights, fold), store=store)
    return replace(client, model=model, data=unseen)
