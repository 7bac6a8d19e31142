"""The gate: what one order asks of this client, all of it checked before rows are worked on.

Every question passes in one order: policy, agreed schema, weights, segments, context, ledger, and
only then rows. Where the ledger counts by the version of the rows, they are read inside its step, once
all else is admitted (decisions 0026 and 0064).

It has two halves: `admit` looks at what an order asks of all clients alike, `open_assignment` at what
is one client's own. A process of many simulated clients does the first once for all of them
(decision 0073); a site does both for each order.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from flwr.app import Context, Message, RecordDict

from calyx.config.section import canonical_json, parse
from calyx.errors import CalyxError, ConfigError
from calyx.machine.hardware import Hardware, HardwareConfig, apply, resolve
from calyx.model.makeup import Makeup, check_left, find_left_behind, makeup_of
from calyx.model.weights import Weights, hash_weights, initial_model, stack, unstack
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import num_inputs
from calyx.preprocessing.imputation import check_fill
from calyx.questions.cv import num_folds, scored_folds
from calyx.questions.question import Question
from calyx.questions.registry import question_of
from calyx.questions.segments import Contents, Inquiry, Segments, weigh
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
from client.gate.policy import PolicyConfig, accept, check_named, check_policy
from client.gate.sections import Sections, read_sections
from client.learning.store import Store
from client.rows.begun import compare
from client.rows.data import Rows, check_agreed, task_of
from client.rows.renewal import read_settled
from strategies.local import LocalObjective, contents_of, load_objective, select_unkept

if TYPE_CHECKING:
    from torch import nn

    from calyx.model.working_copy import WorkingCopy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AssignedModel:
    """The model that an order is about, and what it is trained and judged with."""

    weights: Weights  # the global ones; of a cross-validation those of all folds, stacked
    beside: Weights  # tensors that came beside them
    fresh: (
        "nn.Module"  # the task's model as its seed makes it; others use it too, so it never changes
    )
    makeup: Makeup
    objective: LocalObjective
    store: Store | None  # where the strategy keeps something of this client
    hardware: Hardware
    contents: Contents  # what clients add up

    def load(self, weights: Weights) -> "nn.Module":
        """The task's model with these weights, on its device; the one that was loaded before is gone."""
        return _working_copy(self.fresh, self.hardware).load(weights)

    def check_left(self, trained: "nn.Module") -> None:
        """Raise ConfigError where training has moved what neither travels nor stays here.

        The makeup has tried it on a few made-up rows; these are real ones.
        """
        left = find_left_behind(self.fresh, trained)
        if left:
            shapes = dict(self.makeup.shapes)
            shared = self.objective.suited(self.makeup).shared(list(shapes))
            check_left(select_unkept(left, shapes, shared))


@dataclass(frozen=True)
class Admitted:
    """What an order asks of every client alike, all of it checked."""

    order: Order
    sections: Sections  # of the order's terms
    segments: Segments  # of the vector that answers
    model: AssignedModel | None  # without a store; None where the question is of no model
    subject: str  # hash of the model's own tensors; "" of no model


@dataclass(frozen=True)
class Assignment:
    """What one order asks of this client, all of it admitted; the rows are those that were noted."""

    site: Site
    order: Order
    sections: Sections  # of the order's terms
    rows: Rows  # before preprocessing
    segments: Segments  # of the vector that answers
    opening: secure_mod.Opening | None  # None where nothing is encrypted
    model: AssignedModel | None  # None where the question is of no model

    @property
    def question(self) -> Question:
        """What is asked."""
        return question_of(self.order.kind)

    @property
    def fixed(self) -> FixedPoint:
        """The number format of the vector."""
        return self.segments.layouts[0].fixed


@dataclass(frozen=True)
class _Last:
    """What was admitted last in this process, for clients of a simulation that get the same message."""

    content: RecordDict
    policy: PolicyConfig
    hardware: HardwareConfig
    admitted: Admitted

    def is_of(self, message: Message, site: Site, kind: str) -> bool:
        """Whether it holds for this client, too: of the very same objects, and never at a site."""
        same = self.content is message.content and self.policy is site.policy
        same = same and self.hardware is site.hardware and not site.is_deployed
        return same and self.admitted.order.kind == kind


_last: list[_Last] = []  # one, or none


def admit(message: Message, site: Site, kind: str) -> Admitted:
    """The first half: what the order of `message` asks of all clients alike, and that this is one.

    Raises Refusal, ClientFailure, ConfigError.
    """
    for last in _last:
        if last.is_of(message, site, kind):
            check_named(last.admitted.order, site.name)
            return last.admitted
    _last.clear()
    order = accept(message, site.name, kind)
    question, sections = question_of(order.kind), read_sections(order.terms)
    check_policy(order, sections.privacy, site.policy, is_site=site.is_deployed)
    check_agreed(order.terms, site)
    model, subject = None, ""
    if question.model == "none":
        _read_weights(message, order, {})
        contents = Contents(task_of(order.terms))
    else:
        model = _assigned_model(message, site, order)
        contents = model.contents
        is_alone = question.model == "folds" or not model.beside
        subject = order.weights if is_alone else hash_weights(model.weights)
    segments = question.segments(
        Inquiry(contents, sections.privacy, order.terms, order.is_validated)
    )
    admitted = Admitted(order, sections, segments, model, subject)
    if not site.is_deployed:
        _last.append(_Last(message.content, site.policy, site.hardware, admitted))
    return admitted


def open_assignment(admitted: Admitted, context: Context, site: Site) -> Assignment:
    """The second half: this client's place in the order, its ledger, and its rows.

    Everything that can be refused is refused by now: an order that could fail on the rows is one that
    the ledger has counted. Raises Refusal, ClientFailure, ConfigError.
    """
    order, sections, segments = admitted.order, admitted.sections, admitted.segments
    model = admitted.model and _with_store(admitted.model, site, order)

    @cache  # what is answered from is what the ledger has noted
    def read() -> Rows:
        note_rows(context, site)
        return read_settled(site, order)

    opening = None
    if sections.privacy.is_encrypted:
        folds = _scored(order, model, site.name)
        wanted = secure_mod.Wanted(sections.privacy, segments, admitted.subject, folds)
        needs_version = question_of(order.kind).needs_version
        version: Callable[[], str] = (lambda: read().version) if needs_version else str
        opening = secure_mod.open_context(site, context, order, wanted, version)
    compare(site, order, sections.preprocessing, read())
    return Assignment(site, order, sections, read(), segments, opening, model)


def _assigned_model(message: Message, site: Site, order: Order) -> AssignedModel:
    """The model that the message brings, which is that of the order and of its task; without a store.

    Raises ClientFailure, and ConfigError for a model or a strategy that cannot be used.
    """
    hardware = resolve(site.hardware)
    apply(hardware)
    objective = load_objective(order.terms.strategy.name, order.terms.strategy.local)
    fresh, makeup = _fresh(order)
    contents = contents_of(task_of(order.terms), makeup, objective, order.terms.training)
    contents, own = weigh(contents, order.terms), makeup.weights
    template = own | objective.beside(makeup.parameters)
    if question_of(order.kind).model == "folds":
        template = own = stack([own] * num_folds(order))
    weights = _read_weights(message, order, template)
    return AssignedModel(
        weights={name: weights[name] for name in own},
        beside={name: weights[name] for name in template if name not in own},
        fresh=fresh,
        makeup=makeup,
        objective=objective,
        store=None,
        hardware=hardware,
        contents=contents,
    )


def _scored(order: Order, model: AssignedModel | None, client: str) -> tuple[str, ...]:
    """The hashes of the folds' models that `client` scores, where the order is of folds."""
    if model is None or question_of(order.kind).model != "folds":
        return ()
    return tuple(hash_weights(unstack(model.weights, i)) for i in scored_folds(order, client))


def _read_weights(message: Message, order: Order, template: Weights) -> Weights:
    try:
        weights = wire.read_order_weights(message, template)
    except CalyxError as error:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, str(error)) from None
    if hash_weights(weights) != order.weights:
        why = "The weights are not those of the order."
        if not template:
            why = f"{order.kind.capitalize()} are of no model."
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, why)
    is_first = question_of(order.kind).trains and order.round == 1
    if is_first and order.weights != hash_weights(template):
        raise ClientFailure(
            FailureCode.WEIGHTS_REFUSED,
            "A first round must begin with the weights that its seed gives, and this one does not.",
        )
    return weights


def _with_store(model: AssignedModel, site: Site, order: Order) -> AssignedModel:
    """The model with this client's store, where its strategy keeps something. Raises ConfigError."""
    if not model.objective.has_state:
        return model
    if site.store is None:
        raise ConfigError(
            f"strategy={order.terms.strategy.name} keeps something of each client between rounds: "
            "set client.state_dir."
        )
    return replace(model, store=Store(site.store, order.run, site.name))


def _fresh(order: Order) -> "tuple[nn.Module, Makeup]":
    """The order's model before round 1. Raises ClientFailure where no row decides that there is none."""
    try:
        return _pristine(*_key(order))
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


@lru_cache(maxsize=4)  # one of each model of `_pristine`: a process answers one order at a time
def _working_copy(fresh: "nn.Module", hardware: Hardware) -> "WorkingCopy":
    from calyx.model.working_copy import WorkingCopy

    return WorkingCopy(fresh, apply(hardware))


@lru_cache(maxsize=4)  # every message needs the model's shapes, and most its layers
def _pristine(
    task: str, preprocessing: str, seed: int, fold: int | None
) -> "tuple[nn.Module, Makeup]":
    loaded = load_task(json.loads(task))
    cfg = parse(PreprocessingConfig, json.loads(preprocessing), "preprocessing")
    check_fill(loaded.schema, cfg)
    width = num_inputs(loaded.schema, cfg)
    model = initial_model(loaded, width, seed, fold)
    return model, makeup_of(model, width)
