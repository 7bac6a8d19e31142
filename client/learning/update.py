"""The answer to a training: what the strategy sends of each client's model, trained on its rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calyx.machine.spans import span
from calyx.model.metrics import CLIPPED
from calyx.model.training_config import MIN_VALIDATION_ROWS
from calyx.model.weights import Weights, weights_of
from calyx.preprocessing.room import room_of
from calyx.vector.contribution import Contribution
from calyx.vector.figures import finite_row
from client import journal
from client.learning.contribution import Answer
from client.learning.judgement import judge
from client.learning.preparation import Client
from client.learning.training import LocalJob, Trained, train
from strategies.local import Finished, select_sent


def learn(clients: Sequence[Client]) -> list[Answer]:
    """Train each client's model; answer with its update, and with a validation of the weights before it.

    The validation is there where the order asks for it. What a strategy keeps of a client is written
    to its store. Raises ConfigError where a training has moved what neither travels nor stays.
    """
    return [_learn(client) for client in clients]


def _learn(client: Client) -> Answer:
    validation = judge([client])[0] if client.assignment.order.is_validated else ()
    job, start = begin(client)  # after what was kept has judged, and before more is
    net = client.model.load(start)
    with span("train"):
        trained = train(net, client.data.parts["train"], client.data.parts["validation"], job)
    local = weights_of(net)
    client.model.check_left(net)
    return (finish(client, job, start, local, trained), *validation)


def begin(client: Client) -> tuple[LocalJob, Weights]:
    """What this client's training needs, and the weights that it begins with."""
    order, model = client.assignment.order, client.model
    own = model.store.before(order.round) if model.store else {}
    job = LocalJob(
        client.assignment.sections.training,
        model.objective,
        model.hardware,
        order.terms.seed,
        order.round,
        client.data.name,
        model.beside,
        own,
        hides_stopping=client.assignment.site.policy.pace_s > 0,
        room=room_of(client.data.fitted) if model.objective.adversarial else None,
    )
    return job, model.objective.localised(model.weights, own)


def finish(
    client: Client, job: LocalJob, start: Weights, local: Weights, trained: Trained
) -> Contribution:
    """What is sent of a training from `start` to `local`; what stays is kept, and the journal written."""
    order, model, parts = client.assignment.order, client.model, client.data.parts
    clip, lr = client.assignment.fixed.clip, job.cfg.lr
    done = Finished(start, local, model.beside, job.own, clip=clip, steps=trained.steps, lr=lr)
    sent = select_sent(model.objective, model.makeup, done)
    kept = sent.own | _train_personal(client, job)
    if model.store and kept:
        model.store.write(order.round, kept, best=order.best)
    num_examples = len(parts["train"])
    losses = _losses(trained, len(parts["validation"]))
    about = {"round": order.round, **client.fold, **finite_row(losses)}
    journal.write(
        client.assignment.question.kind, **about, epochs=trained.epochs, num_examples=num_examples
    )
    counts = {CLIPPED.name: np.array([sent.clipped])}
    return Contribution(num_examples, sent.update, {"loss": trained.loss, **sent.metrics}, counts)


def _losses(trained: Trained, num_validation: int) -> dict[str, object]:
    """The losses for this client's journal, and why there is none on its validation rows, if so."""
    values: dict[str, object] = {"train_loss": trained.loss, "val_loss": trained.validation_loss}
    if trained.validation_loss is not None:
        return values
    why = "an output on a validation row is not finite"
    if num_validation < MIN_VALIDATION_ROWS:
        why = f"a training looks at {MIN_VALIDATION_ROWS} validation rows or more, and there are "
        why += str(num_validation)
    return values | {"absent": {"val_loss": why}}


def _train_personal(client: Client, job: LocalJob) -> Weights:
    """Train this client's own model, where the strategy has one; return its weights."""
    model, parts = client.model, client.data.parts
    objective = model.objective.personal()
    if objective is None:
        return {}
    if objective.adversarial is None:
        objective = replace(objective, adversarial=model.objective.adversarial)
    net = model.load(job.own or model.weights)
    name = f"{job.client} personal"
    job = replace(job, objective=objective, client=name, beside=model.weights, own={})
    train(net, parts["train"], parts["validation"], job)
    return weights_of(net)
