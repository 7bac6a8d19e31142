"""Trainings of many clients as one computation: their weights in one tensor, a client a slice.

A client of thirty rows leaves a core idle between its small kernels; ten of them fill it, and their
weights still fit its cache. For a stack of linear layers, plain SGD and FedAvg's or FedProx's loss.
Not the same bytes as one after another: sums are taken in another order, so that weights differ in
their last bits after a round, and as two seeds do after many. Nothing here asks for a CPU, but on a GPU
it was not tried. See docs/decisions/0081.

Shapes: C clients, B rows of a batch, F inputs and H outputs of a layer, K outputs of the model, N rows.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from calyx.data.schema import Part
from calyx.machine.hardware import Hardware
from calyx.machine.spans import span
from calyx.model.evaluation import evaluation_of
from calyx.model.makeup import Makeup
from calyx.model.training_config import MIN_VALIDATION_ROWS, TrainingConfig
from calyx.model.weights import Weights
from calyx.seeding import rng
from client.learning.contribution import Answer
from client.learning.dense import Activation, Linear, Stack, read_stack
from client.learning.judgement import judge_together
from client.learning.preparation import Client
from client.learning.training import LocalJob, Trained
from client.learning.update import begin, finish, learn
from strategies.fedprox import FedProxLocal
from strategies.local import LocalObjective

_CACHE_BYTES = 4 * 2**20  # of weights at once: of 100,000 parameters, ten clients


def learn_together(
    clients: Sequence[Client], alone: Sequence[Callable[[], AbstractContextManager[object]]]
) -> Iterator[tuple[int, Answer]]:
    """`learn`, for clients of one order whose trainings no `find_obstacle` keeps from being one.

    Gives each client's place and answer as it is there, so that nobody keeps many of them. `alone` makes
    for each the context in which is done what is done for it by itself. Where there is an obstacle all
    the same they are trained one by one.
    """
    if not clients:
        return
    model, cfg = clients[0].model, clients[0].assignment.sections.training
    stack = read_stack(model.load(model.weights), model.hardware.device)
    if stack is None or find_obstacle(cfg, model.objective, model.makeup, stack, model.hardware):
        for i, client in enumerate(clients):
            with alone[i]():
                (answer,) = learn([client])
            yield i, answer
        return
    validations: list[Answer] = [()] * len(clients)
    if clients[0].assignment.order.is_validated:
        validations = judge_together(clients, alone)
    trainings = [
        LocalTraining(begin(client)[0], client.data.parts["train"], client.data.parts["validation"])
        for client in clients
    ]
    # Most rows first: those that still train are the first of each chunk.
    order = sorted(range(len(trainings)), key=lambda i: -len(trainings[i].rows))
    size = max(1, _CACHE_BYTES // sum(array.nbytes for array in model.weights.values()))
    for first in range(0, len(order), size):
        chunk = order[first : first + size]
        with span("train"):
            done = train_together(stack, [trainings[i] for i in chunk])
        for i, (trained, arrays) in zip(chunk, done, strict=True):
            local: Weights = dict(zip(model.weights, arrays, strict=True))
            with alone[i]():
                sent = finish(clients[i], trainings[i].job, model.weights, local, trained)
            yield i, (sent, *validations[i])


def find_obstacle(
    cfg: TrainingConfig,
    objective: LocalObjective,
    makeup: Makeup,
    stack: Stack | None,
    hardware: Hardware,
) -> str:
    """Why the clients of a run cannot be trained together, as a clause; "" where they can.

    `stack` is what `read_stack` says of their model.
    """
    if (cfg.optimizer, cfg.momentum, cfg.weight_decay) != ("sgd", 0.0, 0.0):
        return "training is not plain SGD, without momentum and weight decay"
    if objective.adversarial is not None:
        return "strategy.local.adversarial moves the rows of each client against its own model"
    if not (objective.is_plain or type(objective) is FedProxLocal):
        return "the strategy adds to the loss what only trainings one by one compute"
    if objective.has_state or objective.personal() or objective.is_localised(makeup):
        return "the strategy keeps something of each client"
    if hardware.is_half:
        return "hardware.precision is bfloat16"
    if stack is None:
        return "the model is no stack of linear layers and ReLU, Tanh or Sigmoid, all of it trained"
    return ""


@dataclass(frozen=True)
class LocalTraining:
    """One client's training."""

    job: LocalJob
    rows: Part
    validation: Part

    @property
    def stops_early(self) -> bool:
        """Whether its validation rows say which epoch's weights are kept."""
        return len(self.validation) >= MIN_VALIDATION_ROWS

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-len(self.rows) // self.job.cfg.batch_size)


@dataclass(frozen=True)
class _Linear:
    """A linear layer of each client; before the first step `start` is that of all of them."""

    weight: Tensor  # [C, H, F]
    bias: Tensor | None  # [C, 1, H]
    start: Linear


def train_together(
    stack: Stack, trainings: Sequence[LocalTraining]
) -> list[tuple[Trained, list[NDArray[np.float32]]]]:
    """Run a few trainings, those with the most rows first, from the weights of `stack`.

    Returns how it went, and the weights that are kept, in the order of the model's parameters; these are
    overwritten by the next call.
    """
    return _Together(stack, trainings).train()


class _Together:
    """Their layers and rows, and where each training stands."""

    def __init__(self, stack: Stack, trainings: Sequence[LocalTraining]) -> None:
        self.trainings, job = trainings, trainings[0].job
        self.cfg, self.device = job.cfg, torch.device(job.hardware.device)
        self.mu = job.objective.mu if isinstance(job.objective, FedProxLocal) else 0.0
        self.layers = [
            one if isinstance(one, Activation) else _spread(i, one, len(trainings))
            for i, one in enumerate(stack.layers)
        ]
        parts = [training.rows for training in trainings]
        self.sizes = np.array([len(part) for part in parts])
        self.firsts = np.cumsum(self.sizes) - self.sizes
        # One row more, of zeros: what batches are filled up with that have fewer rows than others.
        self.x = self._place(np.concatenate([p.x for p in parts] + [np.zeros_like(parts[0].x[:1])]))
        self.y = self._place(np.concatenate([p.y for p in parts] + [np.zeros_like(parts[0].y[:1])]))
        self.has_begun = False  # whether the clients' weights differ
        self.shuffles = [rng(p.job.seed, "batches", p.job.round, p.job.client) for p in trainings]

    def train(self) -> list[tuple[Trained, list[NDArray[np.float32]]]]:
        """All epochs, or until the last of them stops early."""
        best = [Trained(math.nan, None, 0, 0)] * len(self.trainings)
        kept: dict[int, list[NDArray[np.float32]]] = {}
        stopping = self.cfg.early_stopping
        active = set(range(len(self.trainings)))
        lowest, epochs = [math.inf] * len(self.trainings), [0] * len(self.trainings)
        for number in range(1, self.cfg.epochs + 1):
            losses = self._epoch()
            for i in sorted(active):
                training, epochs[i] = self.trainings[i], number
                loss = self._validate(i) if training.stops_early else None
                # An output that is not finite is never better.
                now = math.inf if loss is None else loss
                if not training.stops_early or number == 1 or now < lowest[i] - stopping.min_delta:
                    best[i] = Trained(float(losses[i]), loss, number, number * training.steps)
                    lowest[i] = now
                    if training.stops_early:
                        kept[i] = [array.copy() for array in self._weights(i)]
                elif number - best[i].epochs >= (stopping.patience or math.inf):
                    active.remove(i)
            if not active:
                break
        return [
            (replace(one, epochs=epochs[i]), kept[i] if i in kept else self._weights(i))
            for i, one in enumerate(best)
        ]

    def _epoch(self) -> NDArray[np.float64]:
        """One pass of each client in a fresh order; the mean loss [C] over its rows."""
        size = min(self.cfg.batch_size, int(self.sizes[0]))
        steps, nobody = -(-int(self.sizes[0]) // size), int(self.sizes.sum())
        index = np.full((len(self.trainings), steps * size), nobody)
        for i, shuffle in enumerate(self.shuffles):
            index[i, : self.sizes[i]] = self.firsts[i] + shuffle.permutation(int(self.sizes[i]))
        batches = self._place(index.reshape(len(self.trainings), steps, size))
        counts = np.clip(self.sizes[:, None] - size * np.arange(steps), 0, size)
        totals = torch.zeros(len(self.trainings), device=self.device)
        for step in range(steps):
            active = int((counts[:, step] > 0).sum())
            rows = self._place(counts[:active, step].astype(np.float32))
            totals[:active] += self._step(batches[:active, step], rows, nobody)
        told: NDArray[np.float64] = totals.double().cpu().numpy() / self.sizes
        return told

    def _step(self, batch: Tensor, num_rows: Tensor, nobody: int) -> Tensor:
        """One step of the first clients on rows with these numbers [C, B]; the sum of losses [C].

        `num_rows` [C] float32 are those that are no filling, which has the number `nobody`.
        """
        active = len(batch)
        outputs = [self.x[batch]]
        for layer in self.layers:
            outputs.append(self._run(layer, outputs[-1], slice(active)))
        share = (batch != nobody) / num_rows[:, None]
        losses, gradient = _losses(outputs[-1], self.y[batch], share)
        for number in range(len(self.layers) - 1, -1, -1):
            layer, came = self.layers[number], outputs[number]
            if isinstance(layer, Activation):
                gradient = layer.back(gradient, outputs[number + 1])
                continue
            if number:  # of the rows themselves nobody asks
                weight = layer.weight[:active] if self.has_begun else layer.start.weight
                before = torch.matmul(gradient, weight)
            self._move(layer, gradient, came)
            gradient = before if number else gradient
        self.has_begun = True
        return losses * num_rows

    def _run(self, layer: _Linear | Activation, x: Tensor, clients: slice) -> Tensor:
        """Outputs [C, B, H] of these clients' layer for inputs [C, B, F]."""
        if isinstance(layer, Activation):
            return layer.run(x)
        if not self.has_begun:  # one product of all rows: the same weights are read once
            return functional.linear(x, layer.start.weight, layer.start.bias)
        weight = layer.weight[clients].transpose(1, 2)
        if layer.bias is None:
            return torch.bmm(x, weight)
        return torch.baddbmm(layer.bias[clients], x, weight)

    def _move(self, layer: _Linear, gradient: Tensor, came: Tensor) -> None:
        """A step of SGD, given the gradient [C, B, H] of outputs for inputs [C, B, F]."""
        active, lr = len(gradient), self.cfg.lr
        weight = layer.weight[:active]
        bias = None if layer.bias is None else layer.bias[:active]
        for tensor, start in ((weight, layer.start.weight), (bias, layer.start.bias)):
            if tensor is None or start is None:
                continue
            if not self.has_begun:  # all are in their first step
                tensor.copy_(start.expand_as(tensor))
            elif self.mu:  # of the proximal term: w − lr·μ·(w − start)
                tensor.lerp_(start.expand_as(tensor), lr * self.mu)
        weight.baddbmm_(gradient.transpose(1, 2), came, alpha=-lr)
        if bias is not None:
            bias.sub_(gradient.sum(1, keepdim=True), alpha=lr)

    def _validate(self, client: int) -> float | None:
        """The mean loss of one client's model on its validation rows; None if it is not finite."""
        part = self.trainings[client].validation
        x = self._place(part.x)[None]
        for layer in self.layers:
            x = self._run(layer, x, slice(client, client + 1))
        return evaluation_of(x[0].double().cpu().numpy(), part).loss

    def _weights(self, client: int) -> list[NDArray[np.float32]]:
        """The client's tensors, in the order of the model's parameters; views of what is trained."""
        tensors: list[Tensor] = []
        for layer in self.layers:
            if isinstance(layer, _Linear):
                tensors.append(layer.weight[client])
                tensors += [] if layer.bias is None else [layer.bias[client, 0]]
        return [tensor.cpu().numpy() for tensor in tensors]

    def _place(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _spread(place: int, layer: Linear, clients: int) -> _Linear:
    """Room for the layer of so many clients; what stands in it is written by their first step."""
    device = layer.weight.device
    weight = _room(place, (clients, *layer.weight.shape), device)
    bias = layer.bias
    own = None if bias is None else torch.empty((clients, 1, len(bias)), device=device)
    start = Linear(layer.weight.clone(), None if bias is None else bias.clone())
    return _Linear(weight, own, start)


@lru_cache(maxsize=16)
def _room(place: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Memory for the weights of the layer at this place, the same each time: new pages take longer."""
    return torch.empty(shape, device=device)


def _losses(outputs: Tensor, y: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The mean losses [C] of outputs [C, B, K] for classes or targets [C, B], and their gradient.

    `share` [C, B] is what each row counts for: 1 / rows of its client's batch, or 0.
    """
    if y.dtype.is_floating_point:
        error = outputs.squeeze(2) - y
        return (error.square() * share).sum(1), (2 * error * share).unsqueeze(2)
    logs, own = torch.log_softmax(outputs, 2), y.unsqueeze(2)
    gradient = logs.exp()
    gradient.scatter_add_(2, own, torch.full_like(own, -1, dtype=gradient.dtype))
    losses = -logs.gather(2, own).squeeze(2)
    return (losses * share).sum(1), gradient.mul_(share.unsqueeze(2))
