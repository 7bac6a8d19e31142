"""The client: check the order → load → preprocess → train or evaluate → one vector.

Nothing of this client leaves it outside that vector, and a failure leaves as one code.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.model.training_config import MIN_VALIDATION_ROWS, TrainingConfig
from calyx.model.weights import Weights, weights_of
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import Kind
from calyx.secagg.refusals import Refusal
from calyx.seeding import rng
from calyx.vector.contribution import Contribution, encode
from calyx.vector.figures import finite_row
from calyx.vector.quantise import Residues
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client import journal
from client.config import Site, read_site
from client.failures import ClientFailure, told
from client.gate import secure_mod
from client.gate.assignment import Assignment, of_fold, open_assignment, scored_folds
from client.gate.policy import accept
from client.learning.judgement import judge_models
from client.learning.training import LocalJob, Trained, train
from client.partition import node_values
from client.rows.survey import survey
from strategies.local import Finished, sent_by

Work = Callable[[Assignment, Site], tuple[Contribution, ...]]

app = ClientApp()


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


@app.evaluate("cv")
def on_cross_validation(message: Message, context: Context) -> Message:
    """Evaluate each fold's model on rows that it has not seen."""
    return _answer(message, context, "cv", _cross_validate)


@app.query("statistics")
def on_statistics(message: Message, context: Context) -> Message:
    """Count what the order asks of this client's rows."""
    return _replying(message, context, survey)


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
    return Message(wire.name_content(read_site(node_values(context)).name), reply_to=message)


def _answer(message: Message, context: Context, kind: Kind, work: Work) -> Message:
    def reply(message: Message, context: Context, site: Site) -> RecordDict:
        order = accept(message, site.name, kind)
        assignment = open_assignment(message, context, site, order)
        with told(site.name, assignment.participant.task, is_site=site.state_dir is not None):
            vector = _encode(assignment, work(assignment, site))
        if assignment.opening is not None:
            return secure_mod.advertise(assignment.opening, vector)
        return wire.vector_content(vector, assignment.fixed)

    return _replying(message, context, reply)


def _replying(
    message: Message, context: Context, work: Callable[[Message, Context, Site], RecordDict]
) -> Message:
    """What `work` answers, or one code of why it does not."""
    site = read_site(node_values(context))
    journal.keep_in(site.state_dir)
    try:
        with told(site.name, is_site=site.state_dir is not None):
            return Message(work(message, context, site), reply_to=message)
    except Refusal as error:
        return secure_mod.refuse(error, message, (bytes(32), 0), site)
    except ClientFailure as error:
        if error.is_of_rows:
            secure_mod.note_failure(context, site, error.cause)
        return _refuse(error, message)
    except ConfigError as error:  # a section of the order, or of this site, that cannot be used
        return _refuse(ClientFailure(FailureCode.ORDER_REFUSED, str(error)), message)


def _refuse(error: ClientFailure, message: Message) -> Message:
    journal.write("failure", code=error.code.value, message=str(error))
    return wire.failure(error.code, message)


def _train(task: Assignment, site: Site) -> tuple[Contribution, ...]:
    """Local epochs from the global weights; what is sent of them is the strategy's to say.

    Where the order says so, the global weights are validated first, as `_evaluate` would.
    """
    validation = _evaluate(task, site) if task.order.is_validated else ()
    terms, number, objective = task.order.terms, task.order.round, task.objective
    cfg = parse(TrainingConfig, terms.training, "training")
    own = task.store.before(number) if task.store else {}
    start = objective.localised(task.model, own)
    name, parts = task.participant.name, task.participant.parts
    job = LocalJob(
        cfg,
        objective,
        task.hardware,
        terms.seed,
        number,
        name,
        task.beside,
        own,
        hides_stopping=site.policy.pace_s > 0,
    )
    model = task.loaded(start)
    trained = train(model, parts["train"], parts["validation"], job)
    local, clip = weights_of(model), task.fixed.clip
    done = Finished(start, local, task.beside, own, clip=clip, steps=trained.steps, lr=cfg.lr)
    task.check_left(model)
    sent = sent_by(objective, task.makeup, done)
    kept = sent.own | _train_personal(task, own, job)
    if task.store and kept:
        task.store.write(number, kept, best=task.order.best)
    num_examples = len(parts["train"])
    journal.write(
        "train",
        round=number,
        **_fold(task),
        **finite_row(_losses(trained, len(parts["validation"]))),
        epochs=trained.epochs,
        num_examples=num_examples,
    )
    beyond = sum(int((np.abs(v) > clip).sum()) for v in sent.update.values())
    metrics = {"loss": trained.loss, **sent.metrics}
    privacy = parse(PrivacyConfig, terms.privacy, "privacy")
    w_max = task.parts.layouts[0].w_max
    capped = np.array([int(privacy.is_capped(num_examples, w_max))])
    cut = {"clipped": np.array([beyond + sent.clipped]), "capped": capped}
    return (Contribution(num_examples, sent.update, metrics, cut), *validation)


def _losses(trained: Trained, num_validation: int) -> dict[str, object]:
    """Of this client's journal; why there is no loss on its validation rows, if there is none."""
    values: dict[str, object] = {"train_loss": trained.loss, "val_loss": trained.validation_loss}
    if trained.validation_loss is not None:
        return values
    why = "an output on a validation row is not finite"
    if num_validation < MIN_VALIDATION_ROWS:
        why = f"a training looks at {MIN_VALIDATION_ROWS} validation rows or more, and there are "
        why += str(num_validation)
    return values | {"absent": {"val_loss": why}}


def _train_personal(task: Assignment, own: Weights, job: LocalJob) -> Weights:
    """The weights of this client's own model after the round, where the strategy has one."""
    objective = task.objective.personal()
    if objective is None:
        return {}
    parts = task.participant.parts
    model = task.loaded(own or task.model)
    client = f"{job.client} personal"
    train(
        model,
        parts["train"],
        parts["validation"],
        replace(job, objective=objective, client=client, beside=task.model, own={}),
    )
    return weights_of(model)


def _evaluate(task: Assignment, site: Site) -> tuple[Contribution, ...]:
    """What the weights, and this client's own model, are judged by on validation or test rows."""
    # Incoming weights are the model of the round before.
    number = task.order.round - (task.order.kind == "train")
    return (judge_models(task, number, _fold(task), site.policy.min_cell),)


def _cross_validate(task: Assignment, site: Site) -> tuple[Contribution, ...]:
    """Each fold's model on the rows that it has not seen; or this client's own fold only."""
    order = task.order
    return tuple(
        judge_models(of_fold(task, fold, site), order.rounds, {"fold": fold}, site.policy.min_cell)
        for fold in scored_folds(order, site.name)
    )


def _fold(task: Assignment) -> dict[str, int]:
    """For the journal: the fold whose training this is, if any."""
    cv = task.order.terms.cv
    return {} if cv is None or cv.fold is None else {"fold": cv.fold}


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
