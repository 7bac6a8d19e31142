"""The client: check the order → load → preprocess → train or evaluate → one vector.

Nothing of this client leaves it outside that vector, and a failure leaves as one code.
"""

import json
import logging
import traceback
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from calyx import wire
from calyx.config import canonical_json, parse
from calyx.errors import CalyxError, ConfigError
from calyx.hardware import Hardware, apply, resolve
from calyx.layouts import Parts, parts_of
from calyx.metrics import LOSS
from calyx.order import Kind, Order
from calyx.privacy import PrivacyConfig
from calyx.registry import load_class, load_task
from calyx.secagg.quantise import FixedPoint, Residues
from calyx.secagg.refusals import Refusal
from calyx.secagg.vector import Contribution, encode
from calyx.seeding import rng
from calyx.weights import Weights, float_shapes, hash_weights, initial_model, load_into, weights_of
from calyx.wire import FailureCode
from client import journal, secure_mod
from client.config import Site, read_site
from client.data import Participant, prepare
from client.evaluation import evaluate
from client.failures import ClientFailure
from client.policy import accept, check_policy
from client.training import LocalJob, train
from client.training_config import TrainingConfig

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)
app = ClientApp()


@dataclass(frozen=True)
class Assignment:
    """What one message asks of this client, all of it checked."""

    order: Order
    weights: Weights
    participant: Participant
    parts: Parts
    hardware: Hardware
    opening: secure_mod.Opening | None  # None where nothing is encrypted

    @property
    def fixed(self) -> FixedPoint:
        """The number format of the vector."""
        return self.parts.layouts[0].fixed


@app.train()
def on_train(message: Message, context: Context) -> Message:
    """Train on the weights and answer with the update."""
    return _answer(message, context, "train", _train)


@app.evaluate()
def on_evaluate(message: Message, context: Context) -> Message:
    """Evaluate the weights on this client's validation part."""
    return _answer(message, context, "evaluate", _evaluate)


@app.evaluate("test")
def on_test(message: Message, context: Context) -> Message:
    """Evaluate the weights on this client's test part; once, at the end."""
    return _answer(message, context, "test", _evaluate)


@app.query("share")
def on_share(message: Message, context: Context) -> Message:
    """Stage 1 of the secure aggregation: deal this client's secrets."""
    return secure_mod.on_stage(message, context, 1)


@app.query("mask")
def on_mask(message: Message, context: Context) -> Message:
    """Stage 2: the masked vector."""
    return secure_mod.on_stage(message, context, 2)


@app.query("consent")
def on_consent(message: Message, context: Context) -> Message:
    """Stage 3: sign whose vectors are in the sum."""
    return secure_mod.on_stage(message, context, 3)


@app.query("reveal")
def on_reveal(message: Message, context: Context) -> Message:
    """Stage 4: the shares that take the masks off that sum."""
    return secure_mod.on_stage(message, context, 4)


@app.query("abandon")
def on_abandon(message: Message, context: Context) -> Message:
    """Give a sum up for good."""
    return secure_mod.on_abandon(message, context)


@app.query("name")
def on_name(message: Message, context: Context) -> Message:
    """Say this client's stable name."""
    return Message(wire.name_content(read_site(context.node_config).name), reply_to=message)


def _answer(
    message: Message,
    context: Context,
    kind: Kind,
    work: Callable[[Assignment], tuple[Contribution, ...]],
) -> Message:
    site = read_site(context.node_config)
    journal.keep_in(site.state_dir)
    try:
        order = accept(message, site.name, kind)
        assignment = _open(message, context, site, order)
        vector = _encode(assignment, work(assignment))
        if assignment.opening is not None:
            return Message(secure_mod.advertise(assignment.opening, vector), reply_to=message)
        return Message(wire.vector_content(vector, assignment.fixed), reply_to=message)
    except Refusal as error:
        return secure_mod.refuse(error, message, (bytes(32), 0), site)
    except ClientFailure as error:
        return _refuse(error, message)
    except ConfigError as error:  # a section of the order, or of this site, that cannot be used
        return _refuse(ClientFailure(FailureCode.ORDER_REFUSED, str(error)), message)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        cause = f"{type(error).__name__} in {Path(where.filename).name}, line {where.lineno}"
        log.exception("A client failed: %s.", cause)
        journal.write("failure", code=FailureCode.INTERNAL_ERROR.value, message=f"{cause}.")
        return wire.failure(FailureCode.INTERNAL_ERROR, message)


def _refuse(error: ClientFailure, message: Message) -> Message:
    journal.write("failure", code=error.code.value, message=str(error))
    return wire.failure(error.code, message)


def _open(message: Message, context: Context, site: Site, order: Order) -> Assignment:
    """Everything that can be refused is refused here, before any training."""
    privacy = parse(PrivacyConfig, order.terms.privacy, "privacy")
    check_policy(order, privacy, site.policy)
    hardware = resolve(site.hardware)
    apply(hardware)
    participant = prepare(order.terms, site.name, site.data_dir)
    template = weights_of(_model(participant, order))
    try:
        weights = wire.read_order_weights(message, template)
    except CalyxError as error:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, str(error)) from None
    if hash_weights(weights) != order.weights:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, "The weights are not those of the order.")
    if order.kind == "train" and order.round == 1 and order.weights != hash_weights(template):
        raise ClientFailure(
            FailureCode.WEIGHTS_REFUSED,
            "A first round must begin with the weights that its seed gives, and this one does not.",
        )
    model = (participant.task, float_shapes(template))
    parts = parts_of(order.kind, order.is_validated, privacy, model)
    opening = None
    if privacy.is_encrypted:
        opening = secure_mod.open_context(site, context, order, (privacy, parts))
    return Assignment(order, weights, participant, parts, hardware, opening)


def _model(participant: Participant, order: Order) -> "nn.Module":
    terms = order.terms
    return deepcopy(_pristine(canonical_json(terms.task), participant.num_inputs, terms.seed))


@lru_cache(maxsize=4)  # every message needs the model's shapes, and most its layers
def _pristine(task: str, num_inputs: int, seed: int) -> "nn.Module":
    return initial_model(load_task(json.loads(task)), num_inputs, seed)


def _train(assignment: Assignment) -> tuple[Contribution, ...]:
    """Local epochs from the global weights; the update is local − global.

    Where the order says so, the global weights are validated first, as `_evaluate` would.
    """
    validation = _evaluate(assignment) if assignment.order.is_validated else ()
    terms, name = assignment.order.terms, assignment.participant.name
    cfg = parse(TrainingConfig, terms.training, "training")
    algorithm = load_class("strategy", terms.strategy.name)
    objective = parse(algorithm.local_objective, terms.strategy.local, "strategy.local")
    model = _model(assignment.participant, assignment.order)
    load_into(model, assignment.weights)
    parts, number = assignment.participant.parts, assignment.order.round
    job = LocalJob(cfg, objective, assignment.hardware, terms.seed, number, name)
    trained = train(model, parts["train"], parts["validation"], job)
    local = weights_of(model)
    names = [k for k, v in assignment.weights.items() if v.dtype.kind == "f"]
    update = {k: local[k] - assignment.weights[k] for k in names}
    num_examples = len(parts["train"])
    journal.write(
        "train",
        round=number,
        train_loss=trained.loss,
        val_loss=trained.validation_loss,
        epochs=trained.epochs,
        num_examples=num_examples,
    )
    clip = assignment.fixed.clip
    clipped = np.array([sum(int((np.abs(v) > clip).sum()) for v in update.values())])
    mine = Contribution(num_examples, update, {"loss": trained.loss}, {"clipped": clipped})
    return (mine, *validation)


def _evaluate(assignment: Assignment) -> tuple[Contribution, ...]:
    """Loss and confusion matrix of the global weights on the validation or the test part."""
    kind: Literal["test", "evaluate"] = "test" if assignment.order.kind == "test" else "evaluate"
    prefix = "test" if kind == "test" else "val"
    model = _model(assignment.participant, assignment.order)
    load_into(model, assignment.weights)
    part = assignment.participant.parts["test" if kind == "test" else "validation"]
    result = evaluate(model.to(assignment.hardware.device), part, apply(assignment.hardware))
    # Incoming weights are the model of the round before.
    number = assignment.order.round - (assignment.order.kind == "train")
    journal.write(
        kind,
        round=number,
        **{f"{prefix}_loss": result.loss, f"{prefix}_accuracy": result.accuracy},
        num_examples=len(part),
    )
    # A failure here would answer, of this client alone, whether its rows make a chosen model diverge.
    loss = result.loss if np.isfinite(result.loss) else LOSS.high
    return (Contribution(len(part), {}, {"loss": loss}, {"confusion": result.confusion}),)


def _encode(assignment: Assignment, contributions: tuple[Contribution, ...]) -> Residues:
    order, name = assignment.order, assignment.participant.name
    # Public by design: rounding hides nothing, and all engines must round alike.
    dither = rng(order.terms.seed, f"dither-{order.kind}", order.round, name)
    try:
        return np.concatenate(
            [
                encode(part, layout, dither.random(layout.parameters, dtype=np.float32))
                for part, layout in zip(contributions, assignment.parts.layouts, strict=True)
            ]
        )
    except ValueError as error:
        raise ClientFailure(FailureCode.NON_FINITE_UPDATE, str(error)) from None
