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
from typing import TYPE_CHECKING

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from calyx import wire
from calyx.config import canonical_json, parse
from calyx.errors import CalyxError, ConfigError
from calyx.hardware import Hardware, apply, resolve
from calyx.layouts import layout_of
from calyx.order import Kind, Order
from calyx.privacy import PrivacyConfig
from calyx.registry import load_class, load_task
from calyx.secagg.quantise import Residues
from calyx.secagg.vector import Contribution, Layout, encode
from calyx.seeding import rng
from calyx.weights import Weights, float_shapes, hash_weights, initial_model, load_into, weights_of
from calyx.wire import FailureCode
from client import journal
from client.config import read_site
from client.data import Participant, prepare
from client.evaluation import evaluate
from client.failures import ClientFailure
from client.policy import accept
from client.training import LocalJob, train
from client.training_config import TrainingConfig

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)
app = ClientApp()


@dataclass(frozen=True)
class Stage:
    """What one message asks of this client, all of it checked."""

    order: Order
    weights: Weights
    participant: Participant
    layout: Layout
    hardware: Hardware


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


@app.query("name")
def on_name(message: Message, context: Context) -> Message:
    """Say this client's stable name."""
    return Message(wire.name_content(read_site(context.node_config).name), reply_to=message)


def _answer(
    message: Message, context: Context, kind: Kind, work: Callable[[Stage], Contribution]
) -> Message:
    try:
        stage = _open(message, context, kind)
        vector = _encode(stage, work(stage))
        return Message(wire.vector_content(vector, stage.layout.fixed), reply_to=message)
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


def _open(message: Message, context: Context, kind: Kind) -> Stage:
    site = read_site(context.node_config)
    order = accept(message, site.name, kind)
    hardware = resolve(site.hardware)
    apply(hardware)
    participant = prepare(order.terms, site.name, site.data_dir)
    template = weights_of(_model(participant, order))
    try:
        weights = wire.read_weights(wire.only_arrays(message.content), template)
    except CalyxError as error:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, str(error)) from None
    if hash_weights(weights) != order.weights:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, "The weights are not those of the order.")
    privacy = parse(PrivacyConfig, order.terms.privacy, "privacy")
    layout = layout_of(kind, privacy, participant.task, float_shapes(template))
    return Stage(order, weights, participant, layout, hardware)


def _model(participant: Participant, order: Order) -> "nn.Module":
    terms = order.terms
    return deepcopy(_pristine(canonical_json(terms.task), participant.num_inputs, terms.seed))


@lru_cache(maxsize=4)  # every message needs the model's shapes, and most its layers
def _pristine(task: str, num_inputs: int, seed: int) -> "nn.Module":
    return initial_model(load_task(json.loads(task)), num_inputs, seed)


def _train(stage: Stage) -> Contribution:
    """Local epochs from the global weights; the update is local − global."""
    terms, name = stage.order.terms, stage.participant.name
    cfg = parse(TrainingConfig, terms.training, "training")
    algorithm = load_class("strategy", terms.strategy.name)
    objective = parse(algorithm.local_objective, terms.strategy.local, "strategy.local")
    model = _model(stage.participant, stage.order)
    load_into(model, stage.weights)
    parts = stage.participant.parts
    job = LocalJob(cfg, objective, stage.hardware, terms.seed, stage.order.round, name)
    trained = train(model, parts["train"], parts["validation"], job)
    local = weights_of(model)
    update = {k: local[k] - stage.weights[k] for k, _ in stage.layout.tensors}
    num_examples = len(parts["train"])
    journal.write(
        "train",
        round=stage.order.round,
        train_loss=trained.loss,
        val_loss=trained.validation_loss,
        epochs=trained.epochs,
        num_examples=num_examples,
    )
    clip = stage.layout.fixed.clip
    clipped = sum(int((np.abs(v) > clip).sum()) for v in update.values())
    return Contribution(
        num_examples, update, {"loss": trained.loss}, {"clipped": np.array([clipped])}
    )


def _evaluate(stage: Stage) -> Contribution:
    """Loss and confusion matrix of the global weights on the validation or the test part."""
    model = _model(stage.participant, stage.order)
    load_into(model, stage.weights)
    part = stage.participant.parts["test" if stage.order.kind == "test" else "validation"]
    result = evaluate(model.to(stage.hardware.device), part, apply(stage.hardware))
    prefix = "test" if stage.order.kind == "test" else "val"
    journal.write(
        "test" if stage.order.kind == "test" else "evaluate",
        round=stage.order.round,
        **{f"{prefix}_loss": result.loss, f"{prefix}_accuracy": result.accuracy},
        num_examples=len(part),
    )
    return Contribution(len(part), {}, {"loss": result.loss}, {"confusion": result.confusion})


def _encode(stage: Stage, contribution: Contribution) -> Residues:
    order, name = stage.order, stage.participant.name
    # Public by design: rounding hides nothing, and all engines must round alike.
    dither = rng(order.terms.seed, f"dither-{order.kind}", order.round, name)
    draws = dither.random(stage.layout.parameters, dtype=np.float32)
    try:
        return encode(contribution, stage.layout, draws)
    except ValueError as error:
        raise ClientFailure(FailureCode.NON_FINITE_UPDATE, str(error)) from None
