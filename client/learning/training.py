"""Local training: epochs with the strategy's objective, early stopping, best weights restored.

One loop for every algorithm; what differs is the local objective's loss.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from calyx.data.schema import Part
from calyx.machine.hardware import Hardware
from calyx.model.attack import Attack, judging
from calyx.model.evaluation import evaluate
from calyx.model.layers import draws_nothing
from calyx.model.training_config import MIN_VALIDATION_ROWS, TrainingConfig
from calyx.model.weights import Weights
from calyx.preprocessing.room import Room
from calyx.seeding import global_scope, rng
from client.learning.batching import batch_sizes, is_last_joined
from client.learning.dense import read_stack
from client.learning.optimizers import make_optimizer
from strategies.local import Batch, LocalObjective, Start


@dataclass(frozen=True)
class LocalJob:
    """What a training needs besides a model and rows; all randomness is derived from the last three."""

    cfg: TrainingConfig
    objective: LocalObjective
    hardware: Hardware
    seed: int
    round: int
    client: str
    beside: Weights = field(default_factory=dict)  # tensors that came beside the model
    own: Weights = field(default_factory=dict)  # what the client kept of its last round
    hides_stopping: bool = False  # whether the epochs after an early stop are run, for nothing
    room: Room | None = None  # how far inputs can move, where the objective moves some


@dataclass(frozen=True)
class Trained:
    """How a training went; losses in nats, of the rows alone: without what the objective adds."""

    # Mean over the batches of the epoch whose weights were kept; adversarial rows as they were moved.
    loss: float
    validation_loss: float | None  # of the weights kept; None if not finite, or not asked for
    epochs: int  # up to where early stopping ends a training
    steps: int  # of the optimiser, up to the weights that were kept


def train(
    model: nn.Module,
    rows: Part,
    validation: Part,
    job: LocalJob,
    on_epoch: Callable[[int], None] = lambda _: None,
) -> Trained:
    """Train `model`, on the job's device, in place; leave it with its best weights by validation loss.

    Early stopping is off below 20 validation rows: then all epochs are run and the last weights
    are kept. `on_epoch` is called with the number of each epoch, from 1, when it begins.

    Where the job hides when it stops, the epochs after that are run as well and change nothing of
    what is kept or returned: how long a training takes would tell of its validation rows.
    """
    device = torch.device(job.hardware.device)
    loop = _Loop(model, rows, job)
    if len(validation) < MIN_VALIDATION_ROWS:
        losses = []
        for number in range(1, job.cfg.epochs + 1):
            on_epoch(number)
            losses.append(loop.epoch())
        return Trained(losses[-1], None, len(losses), loop.steps)
    best, lowest = Trained(math.nan, None, 0, 0), math.inf
    kept: dict[str, Tensor] | None = None  # None: the model's own are the best so far
    epochs, has_stopped = 0, False
    for number in range(1, job.cfg.epochs + 1):
        on_epoch(number)
        loss = loop.epoch()
        validation_loss = evaluate(model, validation, device).loss
        # An output that is not finite is never better.
        now = math.inf if validation_loss is None else validation_loss
        is_better = best.epochs == 0 or now < lowest - job.cfg.early_stopping.min_delta
        is_better, epochs = is_better and not has_stopped, epochs + (not has_stopped)
        copy = None
        # After the last epoch nothing moves them any more; but a copy takes time, which would tell.
        if job.hides_stopping or (is_better and number < job.cfg.epochs):
            copy = {k: v.clone() for k, v in model.state_dict().items()}
        if is_better:
            best, lowest, kept = Trained(loss, validation_loss, epochs, loop.steps), now, copy
        elif epochs - best.epochs >= (job.cfg.early_stopping.patience or math.inf):
            has_stopped = True
        if has_stopped and not job.hides_stopping:
            break
    if kept is not None:
        model.load_state_dict(kept)
    return Trained(best.loss, best.validation_loss, epochs, best.steps)


class _Loop:
    """Epochs over the same rows with one optimiser."""

    def __init__(self, model: nn.Module, rows: Part, job: LocalJob) -> None:
        device = torch.device(job.hardware.device)
        self.model, self.job = model, job
        self.x, self.y = torch.from_numpy(rows.x).to(device), torch.from_numpy(rows.y).to(device)
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.trained = list(self.parameters.values())
        self.start = Start({})
        if not job.objective.is_plain:  # which looks at no start
            self.start = Start(
                {name: p.detach().clone() for name, p in self.parameters.items()},
                _tensors(job.beside, device),
                _tensors(job.own, device),
            )
        is_plain = job.objective.is_plain and not job.hardware.is_half
        self.stack = read_stack(model) if is_plain else None
        self.draws = self.stack is None and (job.objective.may_draw or not draws_nothing(model))
        self.optimizer = make_optimizer([p.detach() for p in self.trained], job.cfg)
        self.shuffle = rng(job.seed, "batches", job.round, job.client)
        self.mover = _Mover.of(job)
        self.epochs = self.steps = 0
        size = job.cfg.batch_size
        # A stack of linear layers takes one row as it takes two.
        is_joined = self.stack is None and is_last_joined(model, self.x, self.y, size, job.hardware)
        self.sizes = batch_sizes(len(rows), size, is_joined=is_joined)
        self.weights = np.array(self.sizes)

    def epoch(self) -> float:
        """One pass in a fresh order; the mean loss over its rows."""
        self.epochs += 1
        order = torch.from_numpy(self.shuffle.permutation(len(self.y))).to(self.y.device)
        x, y = self.x.index_select(0, order), self.y.index_select(0, order)
        if self.stack is None:  # which has no modes
            self.model.train()
        losses, job = [], self.job
        named = job.seed, f"epoch-{self.epochs}", job.round, job.client
        with global_scope(*named) if self.draws else nullcontext():
            for batch in zip(torch.split(x, self.sizes), torch.split(y, self.sizes), strict=True):
                losses.append(self._step(*batch))
        # Read once an epoch: on a GPU each read waits for the device.
        told = torch.stack(losses).double().cpu().numpy()
        return float((told * self.weights).sum() / self.weights.sum())

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        self.steps += 1
        if self.stack is not None:
            loss, gradients = self.stack.gradients(x, y)
            self.optimizer.step(gradients)
            return loss
        batch = Batch(self.model, self.parameters, x, y, self.job.hardware.is_half)
        if self.mover is not None:
            batch = self.mover.move(batch)
        loss = batch.loss.detach()  # before the step, whether the objective looks at it or not
        total = self.job.objective.loss(batch, self.start)
        self.optimizer.step(torch.autograd.grad(total, self.trained, materialize_grads=True))
        return loss


class _Mover:
    """Moves the first rows of each batch, which are any: an epoch's order is drawn."""

    def __init__(self, attack: Attack, share: float, job: LocalJob) -> None:
        self.attack, self.share = attack, share
        self.draw = rng(job.seed, "adversarial", job.round, job.client)

    @staticmethod
    def of(job: LocalJob) -> "_Mover | None":
        """The objective's; None where it moves nothing. Raises ValueError where nothing bounds the rows."""
        cfg = job.objective.adversarial
        if cfg is None:
            return None
        if job.room is None:
            raise ValueError("an objective that moves rows needs the room of their inputs")
        attack = Attack.of(cfg, job.room, torch.device(job.hardware.device))
        return _Mover(attack, cfg.share, job)

    def move(self, batch: Batch) -> Batch:
        """The batch with its first rows moved against the model as it is used, not as it is trained."""
        count = math.ceil(self.share * len(batch.y))
        with judging(batch.model):
            moved = self.attack.move(batch.run, batch.x[:count], batch.y[:count], self.draw)
        return replace(batch, x=torch.cat([moved, batch.x[count:]]))


def _tensors(arrays: Weights, device: torch.device) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(v)).to(device) for name, v in arrays.items()}
