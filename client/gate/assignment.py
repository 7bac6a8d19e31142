"""What one message asks of this client, all of it checked before any training."""

import json
import logging
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from flwr.app import Context, Message

from calyx.config.section import canonical_json, parse
from calyx.errors import CalyxError, ConfigError
from calyx.machine.hardware import Hardware, apply, resolve
from calyx.model.makeup import Makeup, check_left, find_left_behind, makeup_of
from calyx.model.weights import Weights, hash_weights, initial_model, load_into
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import num_inputs
from calyx.preprocessing.imputation import check_fill
from calyx.questions.layouts import Parts, parts_of, weighed
from calyx.run.folds import stacked, unstacked
from calyx.run.order import Order
from calyx.tasks.causes import cause_of
from calyx.tasks.registry import load_task
from calyx.vector.quantise import FixedPoint
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client.config import Site
from client.failures import ClientFailure
from client.gate import secure_mod
from client.gate.pace import note_rows
from client.gate.policy import check_policy
from client.gate.sections import Sections, read_sections
from client.learning.store import Store
from client.rows.begun import compare
from client.rows.data import Rows, check_agreed, task_of
from client.rows.renewal import read_settled
from strategies.loading import load_objective
from strategies.local import LocalObjective, contents_of, select_unkept

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AssignedModel:
    """The model that an order is about, and what it is trained and judged with."""

    weights: Weights  # the global ones; in a cross-validation of all folds' models, stacked
    beside: Weights  # tensors that came beside them
    fresh: (
        "nn.Module"  # the task's model as its seed makes it; others use it too, so it never changes
    )
    makeup: Makeup
    objective: LocalObjective
    store: Store | None  # where the strategy keeps something of this client
    hardware: Hardware

    def load(self, weights: Weights) -> "nn.Module":
        """A model of the task with these weights."""
        model = deepcopy(self.fresh)
        load_into(model, weights)
        return model

    def check_left(self, trained: "nn.Module") -> None:
        """Raise ConfigError where training has moved what neither travels nor stays here.

        The makeup has tried it on a few made-up rows; these are real ones.
        """
        left = find_left_behind(self.fresh, trained)
        shapes = dict(self.makeup.shapes)
        check_left(
            select_unkept(left, shapes, self.objective.suited(self.makeup).shared(list(shapes)))
        )


@dataclass(frozen=True)
class Assignment:
    """What one message asks of this client, all of it checked, and the rows that it is asked about."""

    site: Site
    order: Order
    sections: Sections  # of the order's terms
    rows: Rows  # before preprocessing
    segments: Parts  # of the vector that answers
    opening: secure_mod.Opening | None  # None where nothing is encrypted
    model: AssignedModel | None = None  # None: statistics are of no model

    @property
    def fixed(self) -> FixedPoint:
        """The number format of the vector."""
        return self.segments.layouts[0].fixed


def open_assignment(message: Message, context: Context, site: Site, order: Order) -> Assignment:
    """Everything that can be refused is refused here. Raises Refusal, ClientFailure, ConfigError.

    Rows come last: an order that could fail on them is one that the ledger has counted.
    """
    sections = read_sections(order.terms)
    privacy = sections.privacy
    check_policy(order, privacy, site.policy, is_site=site.is_deployed)
    check_agreed(order.terms, site)
    hardware, cv = resolve(site.hardware), order.terms.cv
    apply(hardware)
    objective = load_objective(order.terms.strategy.name, order.terms.strategy.local)
    makeup = _makeup(order)
    own = makeup.weights
    contents = contents_of(task_of(order.terms), makeup, objective, order.terms.training)
    contents = weighed(contents, order.terms)
    template = own | objective.beside(makeup.parameters)
    if order.kind == "cv":
        template = stacked([own] * num_folds(order))
    weights = _read_weights(message, order, template)
    parts = parts_of(order.kind, order.is_validated, privacy, contents, cv)
    opening = None

    def read() -> Rows:
        note_rows(context, site)
        return read_settled(site, order)

    if privacy.is_encrypted:
        wanted = secure_mod.Wanted(privacy, parts, *_models(order, weights, list(own), site.name))
        # A fold's model is scored once for each version of the rows.
        version = (lambda: read().version) if order.kind == "cv" else str
        opening = secure_mod.open_context(site, context, order, wanted, version)
    rows = read()
    compare(site, order, rows)
    is_one = order.kind != "cv"  # model
    model = AssignedModel(
        weights={k: weights[k] for k in own} if is_one else weights,
        beside={k: weights[k] for k in template if k not in own and is_one},
        fresh=_pristine(*_key(order))[0],
        makeup=makeup,
        objective=objective,
        store=_store(site, order) if objective.has_state else None,
        hardware=hardware,
    )
    return Assignment(site, order, sections, rows, parts, opening, model)


def _models(
    order: Order, weights: Weights, own: list[str], client: str
) -> tuple[str, tuple[str, ...]]:
    """The hash of the model's own tensors, and those of the folds' models that `client` scores."""
    if order.kind == "cv":
        folds = scored_folds(order, client)
        return order.weights, tuple(hash_weights(unstacked(weights, fold)) for fold in folds)
    is_all = len(own) == len(weights)
    return order.weights if is_all else hash_weights({name: weights[name] for name in own}), ()


def scored_folds(order: Order, client: str) -> list[int]:
    """The folds whose models `client` scores in a cross-validation: all, or its own only."""
    if order.terms.cv is not None and isinstance(order.terms.cv.k, int):
        return list(range(num_folds(order)))
    return [sorted(name for group in order.groups for name in group).index(client)]


def num_folds(order: Order) -> int:
    """Models that the order of a cross-validation carries: one a fold, or one a client."""
    k = order.terms.cv.k if order.terms.cv else "clients"
    return k if isinstance(k, int) else sum(map(len, order.groups))


def _read_weights(message: Message, order: Order, template: Weights) -> Weights:
    try:
        weights = wire.read_order_weights(message, template)
    except CalyxError as error:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, str(error)) from None
    if hash_weights(weights) != order.weights:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, "The weights are not those of the order.")
    is_first = order.kind == "train" and order.round == 1
    if is_first and order.weights != hash_weights(template):
        raise ClientFailure(
            FailureCode.WEIGHTS_REFUSED,
            "A first round must begin with the weights that its seed gives, and this one does not.",
        )
    return weights


def _store(site: Site, order: Order) -> Store:
    if site.store is None:
        raise ConfigError(
            f"strategy={order.terms.strategy.name} keeps something of each client between rounds: "
            "set client.state_dir."
        )
    return Store(site.store, order.run, site.name)


def _makeup(order: Order) -> Makeup:
    """Of the order's model. Raises ClientFailure where it cannot be made, which no row decides."""
    try:
        return _pristine(*_key(order))[1]
    except (MemoryError, OverflowError, RuntimeError, TypeError) as error:
        log.debug("The model of an order cannot be made.", exc_info=True)
        raise ClientFailure(
            FailureCode.ORDER_REFUSED,
            f"The order was refused: its model cannot be made ({cause_of(error)}).",
        ) from error


def _key(order: Order) -> tuple[str, str, int, int | None]:
    terms = order.terms
    # Constants say nothing of shapes.
    preprocessing = canonical_json(terms.preprocessing | {"fitted": None})
    fold = terms.cv.fold if terms.cv else None
    return canonical_json(terms.task), preprocessing, terms.seed, fold


@lru_cache(maxsize=4)  # every message needs the model's shapes, and most its layers
def _pristine(
    task: str, preprocessing: str, seed: int, fold: int | None
) -> "tuple[nn.Module, Makeup]":
    made = load_task(json.loads(task))
    cfg = parse(PreprocessingConfig, json.loads(preprocessing), "preprocessing")
    check_fill(made.schema, cfg)
    width = num_inputs(made.schema, cfg)
    model = initial_model(made, width, seed, fold)
    return model, makeup_of(model, width)
