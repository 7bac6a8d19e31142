"""Before a simulation: the task's model, tried as training, evaluation and prediction will use it.

Whether a model takes a batch hangs on its number of rows, so that it is tried once for each kind
of batch that the clients' numbers of rows make, on rows of a client that has such a batch.

Shapes: B rows of a batch, F inputs, K outputs.

See docs/decisions/0043.
"""

import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from calyx.data.schema import Part, Schema
from calyx.errors import CalyxError, ConfigError
from calyx.machine.hardware import Hardware
from calyx.model.evaluation import evaluate
from calyx.model.makeup import Makeup
from calyx.model.training_config import TrainingConfig
from calyx.model.weights import weights_of
from calyx.preprocessing.room import room_of
from calyx.run.order import Terms
from calyx.seeding import global_scope
from calyx.tasks.causes import cause_of, place_of
from calyx.tasks.task import Task
from calyx.words.sentences import join_names, say_count
from client.learning.batching import batch_sizes, is_last_joined
from client.learning.training import LocalJob, train
from client.rows.data import ClientData
from strategies.local import LocalObjective, load_objective

log = logging.getLogger(__name__)

MAX_ROWS = 4096  # of the batches that are tried
TRIED = 3  # clients of each kind of batch, until one succeeds
SMALL_LR = 0.01
_CLOSE = 1e-3  # relative: outputs of one row, alone and beside others, which rounding may part
_CPU = torch.device("cpu")


class Unfit(Exception):
    """What a model gives is not what is asked of it; the sentence begins with "it"."""


@dataclass(frozen=True)
class Trial:
    """A model, fresh, and what it is tried with."""

    task: Task
    model: nn.Module
    cfg: TrainingConfig
    hardware: Hardware
    seed: int


@dataclass(frozen=True)
class Unable:
    """Clients that cannot train, and why, as a sentence for the one who starts the run."""

    clients: tuple[str, ...]
    sentence: str


def unable_clients(trial: Trial, people: Sequence[ClientData]) -> list[Unable]:
    """The clients of `people` (those with the most rows first) that cannot train, by reason.

    A few kinds of batches stand for all; only where one of them fails is each of them tried.
    """
    kinds = _kinds(trial, people)
    numbers = sorted(kinds)
    told = {numbers[0], numbers[-1], *numbers[1:2], trial.cfg.batch_size} & set(numbers)
    failed = {n: why for n in sorted(told) if (why := _why_not(trial, kinds[n], n))}
    if failed:
        failed |= {
            n: why for n in numbers if n not in told and (why := _why_not(trial, kinds[n], n))
        }
    unable: list[Unable] = []
    for number in sorted(failed, reverse=True):
        known = {name for one in unable for name in one.clients}
        names = tuple(p.name for p in kinds[number] if p.name not in known)
        if names:
            unable.append(Unable(names, _sentence(trial, names, number, failed[number])))
    return unable


def _kinds(trial: Trial, people: Sequence[ClientData]) -> dict[int, list[ClientData]]:
    """Which clients have a batch of so many rows in an epoch."""
    size, is_joined = trial.cfg.batch_size, False
    for person in people:
        n = len(person.parts["train"])
        if n > size and n % size == 1:
            rows = some(person.parts["train"], size + 1)
            x, y = torch.tensor(rows.x), torch.from_numpy(rows.y)
            is_joined = is_last_joined(trial.model, x, y, size, trial.hardware)
            break
    kinds: dict[int, list[ClientData]] = {}
    for person in people:
        n = len(person.parts["train"])
        for number in sorted(set(batch_sizes(n, size, is_joined=is_joined))):
            kinds.setdefault(number, []).append(person)
    return kinds


def _why_not(trial: Trial, people: Sequence[ClientData], number: int) -> str:
    """Why a batch of `number` rows of the first of `people` cannot be trained; "" where one can."""
    first = ""
    for person in people[:TRIED]:
        rows = some(person.parts["train"], min(number, MAX_ROWS))
        why = _failure(trial.task, partial(train_once, trial, rows))
        if not why:
            return ""
        first = first or why
    return first


def _failure(task: Task, work: Callable[[], object]) -> str:
    try:
        work()
    except CalyxError:
        raise
    except Unfit as error:
        where = place_of(task, "model")
        return f"{error}{where and f' ({where})'}"
    except (Exception, SystemExit) as error:
        if log.isEnabledFor(logging.DEBUG):
            log.warning("A try of the model has failed.", exc_info=True)
        return cause_of(error, task)
    return ""


def _sentence(trial: Trial, names: tuple[str, ...], number: int, why: str) -> str:
    task = trial.task.name
    if number > 1:
        return (
            f"The model of task={task} cannot be trained on its clients' rows, with a batch of {number} "
            f"rows of {names[0]}: {why}. Mend the task's `model`, or its `load`."
        )
    if trial.cfg.batch_size == 1:
        return (
            f"The model of task={task} cannot be trained on one row at a time, as training.batch_size=1 "
            f"asks: {why}. Use training.batch_size=2 or more, or a model without what needs several rows, "
            "such as nn.LayerNorm in place of batch normalisation."
        )
    one = len(names) == 1
    return (
        f"{join_names(names)} cannot take part: {'it has' if one else 'they have'} one training row, and the "
        f"model of task={task} cannot be trained on one: {why}. Give {'it' if one else 'them'} more rows, "
        f"leave {'it' if one else 'them'} out, or use a model that takes a single row."
    )


def train_once(trial: Trial, rows: Part) -> nn.Module:
    """A copy of the model after one step on these rows, which are one batch.

    Raises Unfit, or whatever the model raises.
    """
    model = deepcopy(trial.model)
    if not any(p.requires_grad for p in model.parameters()):
        raise Unfit("it has no parameter that training could move")
    model.train()
    with global_scope(trial.seed, "trial"):
        output = deepcopy(model)(torch.tensor(rows.x))
    check_output(output, len(rows), trial.task.schema)
    if not output.requires_grad:
        raise Unfit("its outputs reach no parameter (are they detached, or under torch.no_grad()?)")
    cfg = replace(trial.cfg, epochs=1, batch_size=len(rows))
    job = LocalJob(cfg, LocalObjective(), trial.hardware, trial.seed, 0, "trial")
    trained = train(model, rows, some(rows, 0), job)
    if not np.isfinite(trained.loss):
        raise Unfit("its loss is NaN or infinite")
    if not all(np.isfinite(v).all() for v in weights_of(model).values() if v.dtype.kind == "f"):
        raise Unfit("its weights are NaN or infinite after one step")
    return model


def check_output(output: object, rows: int, schema: Schema) -> None:
    """Raise Unfit unless these are outputs [B, K] of a batch of `rows`, all of them finite."""
    wanted = f"[{rows}, {schema.num_outputs}], " + (
        "one a class" if schema.classes else "one a row"
    )
    if not isinstance(output, Tensor):
        raise Unfit(f"it gives a {type(output).__name__}, and not a tensor {wanted}")
    if tuple(output.shape) != (rows, schema.num_outputs):
        shape = str(list(output.shape))
        raise Unfit(f"it gives outputs {shape} for {say_count(rows, 'row')}, and not {wanted}")
    if not output.dtype.is_floating_point:
        kind = str(output.dtype).removeprefix("torch.")
        raise Unfit(f"it gives outputs of type {kind}, and not of floating point")
    if not bool(torch.isfinite(output).all()):
        raise Unfit(f"it gives NaN or infinity for some of {say_count(rows, 'row')}")


def check_judging(trial: Trial, model: nn.Module, person: ClientData) -> list[str]:
    """What is odd in how a trained `model` judges one row and many, in sentences.

    Raises ConfigError where it cannot.
    """
    said: list[str] = []
    rows = some(person.parts["train"], MAX_ROWS)
    why = _failure(trial.task, lambda: said.extend(_check_judging(trial, model, rows)))
    if why:
        raise ConfigError(
            f"The model of task={trial.task.name} cannot be evaluated, nor predict, with rows of "
            f"{person.name}: {why}. Mend the task's `model`."
        )
    return said


def _check_judging(trial: Trial, model: nn.Module, rows: Part) -> list[str]:
    schema = trial.task.schema
    many, again = (_outputs(model, rows, schema) for _ in range(2))
    alone = _outputs(model, some(rows, 1), schema)
    evaluate(model, rows, _CPU)
    if not torch.equal(many, again):  # of that is spoken elsewhere
        return []
    head = f"The model of task={trial.task.name}"
    near = _CLOSE * float(many.abs().max())
    if float((many[0] - alone[0]).abs().max()) > near:
        return [
            f"{head} judges a row by the rows beside it too, or by what it draws: figures and "
            "predictions depend on which rows are judged together. Normalise by statistics that are "
            "kept (track_running_stats=True)."
        ]
    is_varied = bool((rows.x != rows.x[:1]).any())
    if is_varied and bool((many == many[:1]).all()):
        return [
            f"{head} gives every row the same outputs, whatever its inputs: it cannot learn. A "
            "normalisation over a single value (nn.GroupNorm with a group a channel, nn.InstanceNorm) "
            "does that, and so does a last layer that nothing reaches."
        ]
    if schema.classes and _are_probabilities(many):
        return [
            f"{head} gives probabilities, of which loss and predictions are taken once more: it learns "
            "slowly, and no prediction is sure. Leave out the last softmax."
        ]
    return []


def _are_probabilities(outputs: Tensor) -> bool:
    """Whether each row of outputs [B, K] is none below 0, together 1, and not the same everywhere."""
    is_whole = bool(((outputs.sum(1) - 1).abs() < _CLOSE).all())
    return is_whole and float(outputs.min()) >= 0 and bool((outputs != outputs[0, 0]).any())


def _outputs(model: nn.Module, rows: Part, schema: Schema) -> Tensor:
    """The model's outputs as evaluation and prediction ask for them."""
    model.eval()
    with global_scope(0, "evaluation"), torch.no_grad():
        output = model(torch.tensor(rows.x))
    check_output(output, len(rows), schema)
    outputs: Tensor = output.double()
    return outputs


def check_objective(trial: Trial, terms: Terms, makeup: Makeup, person: ClientData) -> None:
    """Raise ConfigError where the strategy's own part of a client's training fails."""
    objective = load_objective(terms.strategy.name, terms.strategy.local)
    rows = some(person.parts["train"], min(trial.cfg.batch_size, MAX_ROWS))
    cfg = replace(trial.cfg, epochs=1, batch_size=len(rows))
    room = room_of(person.fitted) if objective.adversarial else None
    job = LocalJob(cfg, objective, trial.hardware, trial.seed, 0, "trial", room=room)
    jobs = [replace(job, beside=objective.beside(makeup.parameters))]
    personal = objective.personal()
    if personal is not None:
        jobs.append(replace(job, objective=personal, beside=makeup.weights))
    for one in jobs:
        work = partial(train, deepcopy(trial.model), rows, some(rows, 0), one)
        why = _failure(trial.task, work)
        if why:
            raise ConfigError(
                f"strategy={terms.strategy.name} cannot train the model of task={trial.task.name}: {why}. "
                "Mend the strategy's local half."
            )


def make_trial(
    task: Task, model: nn.Module, training: TrainingConfig, hardware: Hardware, seed: int
) -> Trial:
    """What a run is tried with: on this processor, in the run's precision.

    The step is a small one: a learning rate that makes training diverge is no mistake of the model's,
    and the run itself says so.
    """
    cfg = replace(training, lr=min(training.lr, SMALL_LR))
    return Trial(task, model, cfg, replace(hardware, device="cpu", threads=1), seed)


def some(part: Part, rows: int) -> Part:
    """The first rows of a part."""
    exact = None if part.exact is None else part.exact[:rows]
    return replace(part, x=part.x[:rows], y=part.y[:rows], exact=exact)
