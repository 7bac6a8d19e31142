"""The client's half of an algorithm: what it adds to the loss, what it sends, what it keeps.

As it stands it is plain training. An algorithm overrides where it differs. PyTorch appears in the
loss only; all else is arrays in, arrays out. See docs/decisions/0021.

Shapes: B rows of a batch, F inputs, K outputs.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from calyx.config.section import config, parse
from calyx.data.schema import Schema
from calyx.errors import ConfigError
from calyx.model.attack_config import AdversarialConfig
from calyx.model.evaluation import loss_of
from calyx.model.makeup import Makeup, check_left
from calyx.model.weights import Weights, float_shapes
from calyx.preprocessing.config import WrittenPreprocessing
from calyx.preprocessing.room import check_room
from calyx.questions.segments import Contents
from calyx.run.order import Terms
from calyx.tasks.registry import load_class
from calyx.tasks.task import Task
from calyx.vector.contribution import Metric
from calyx.vector.weighing import UNKNOWN_W_MAX

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """A batch of a training, on the device, and the model that is trained on it."""

    model: "nn.Module"  # in training mode; its weights are those before the step
    parameters: "Mapping[str, Tensor]"  # of the model, those that are trained
    x: "Tensor"  # [B, F]
    y: "Tensor"  # [B], classes; of a regression, targets in units of their scale
    is_half: bool = False  # whether the model computes in bfloat16, as `hardware.precision` asks

    @cached_property
    def outputs(self) -> "Tensor":
        """What the model gives for these rows, [B, K]."""
        return self.run(self.x)

    @cached_property
    def loss(self) -> "Tensor":
        """Of these outputs: the mean cross-entropy in nats, or the mean squared error."""
        return self.loss_of(self.outputs)

    def run(self, x: "Tensor", parameters: "Mapping[str, Tensor] | None" = None) -> "Tensor":
        """The outputs [B, K] for inputs `x` [B, F], with other `parameters` where there are some.

        With these the model is left as it is: running statistics of its layers do not move.
        """
        with self._precision():
            if parameters is None:
                outputs: Tensor = self.model(x)
                return outputs
            from torch.func import functional_call

            buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
            other: Tensor = functional_call(self.model, {**buffers, **parameters}, (x,))
            return other

    def loss_of(self, outputs: "Tensor") -> "Tensor":
        """The loss of other outputs [B, K] for these rows."""
        with self._precision():
            return loss_of(outputs, self.y)

    def _precision(self) -> AbstractContextManager[object]:
        if not self.is_half:
            return nullcontext()
        import torch

        return torch.autocast(self.x.device.type, torch.bfloat16)


@dataclass(frozen=True)
class Start:
    """What a training begins with, as tensors on the device, by name.

    `model` are the trained parameters of the global model, `beside` the tensors that travel beside
    it, `own` what this client kept of its last round (nothing before its first).
    """

    model: "Mapping[str, Tensor]"
    beside: "Mapping[str, Tensor]" = field(default_factory=dict)
    own: "Mapping[str, Tensor]" = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """A training that is done: the weights before and after, and how they came about.

    `send` sees the trained parameters of it; what no gradient moves is `select_sent`'s.
    """

    start: Weights  # the shared parameters, as the training began with them
    local: Weights  # the same after it
    beside: Weights  # as they came
    own: Weights  # as kept before
    clip: float  # to which the coordinates of what is sent are cut
    steps: int  # of the optimiser, up to the weights that were kept
    lr: float


@dataclass(frozen=True)
class Sent:
    """What goes into the sum, and what stays. `update` holds float tensors of model and beside."""

    update: Weights
    metrics: dict[str, float] = field(default_factory=dict)
    own: Weights = field(default_factory=dict)
    clipped: int = 0  # coordinates of `update` that the algorithm itself has cut to ±clip


@config
class LocalObjective:
    """The client's half, with its hyper-parameters as fields; this one is plain training."""

    metrics: ClassVar[tuple[Metric, ...]] = ()  # further means that ride in the sum
    has_state: ClassVar[bool] = False  # whether a client keeps something between rounds
    draws: ClassVar[bool] = True  # whether its own loss may draw; no class inherits another's word

    # A share of each batch's rows is moved towards a greater loss before the loss is computed, whatever
    # the algorithm adds to that (docs/decisions/0093); null, or left out, moves none.
    adversarial: AdversarialConfig | None = None

    @property
    def is_plain(self) -> bool:
        """Whether its loss is that of the rows alone, as they are."""
        return self.adversarial is None and not self._adds()

    def _adds(self) -> bool:
        kind = type(self)
        return (kind.loss, kind.penalty) != (LocalObjective.loss, LocalObjective.penalty)

    @property
    def may_draw(self) -> bool:
        """Whether its loss may draw random numbers: unless it adds nothing, or its class itself says no."""
        return self._adds() and vars(type(self)).get("draws", True)

    def check(self, training: Mapping[str, object]) -> None:
        """Raise ValueError where this section `training` does not suit the algorithm."""

    def suited(self, makeup: Makeup) -> Self:
        """The same for a model of this makeup. Raises ValueError where it does not suit it."""
        return self

    def beside(self, model: Weights) -> Weights:
        """Tensors that travel beside the model's parameters in both directions, before round 1."""
        return {}

    def shared(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the model's float tensors that are sent; all. Raises ValueError."""
        return tuple(names)

    def localised(self, model: Weights, own: Weights) -> Weights:
        """The model that this client trains and evaluates: the global one."""
        return model

    def kept(self, makeup: Makeup) -> tuple[str, ...]:
        """Those of the model's float tensors that are never sent: each client has its own, or none."""
        names = [name for name, _ in makeup.shapes]
        shared = set(self.suited(makeup).shared(names))
        return tuple(name for name in names if name not in shared)

    def is_localised(self, makeup: Makeup) -> bool:
        """Whether clients evaluate models of their own in place of the global one."""
        is_overridden = type(self).localised is not LocalObjective.localised
        return is_overridden or bool(self.kept(makeup))

    def has_layers(self, makeup: Makeup, own: Weights) -> bool:
        """Whether `own` holds all that the model needs which this client evaluates.

        True where that is the global one. Layers that were never trained are no model: a client
        that lacks its own is not judged, and nothing is predicted for it.
        """
        if not (self.has_state and self.is_localised(makeup)):
            return True
        return bool(own) and all(name in own for name in self.kept(makeup))

    def loss(self, batch: Batch, start: Start) -> "Tensor":
        """What a step of the optimiser lowers: the loss of a batch, with the penalty if there is one.

        An algorithm whose term needs rows, outputs or the model overrides this; one whose term is of
        the parameters only overrides `penalty`. What is told of a training is `batch.loss` always.
        """
        penalty = self.penalty(batch.parameters, start)
        return batch.loss if penalty is None else batch.loss + penalty

    def penalty(self, parameters: "Mapping[str, Tensor]", start: Start) -> "Tensor | None":
        """What a client adds to the loss of each batch; None adds nothing."""
        return None

    def personal(self) -> "LocalObjective | None":
        """What a personal model beside the global one is trained with; None has none.

        It begins with `own`, or with the global model where there is none yet. What this objective says
        of adversarial rows holds for it, too, where it says nothing of them.
        """
        return None

    def send(self, done: Finished) -> Sent:
        """What goes into the sum: local − global of the shared parameters."""
        return Sent({k: done.local[k] - array for k, array in done.start.items()})


def load_objective(name: str, local: Mapping[str, Any]) -> LocalObjective:
    """The client's half of the installed algorithm `name`, as an order gives it. Raises ConfigError."""
    cls: type[LocalObjective] = load_class("strategy", name).local_objective
    return parse(cls, local, "strategy.local")


def check_attacks(terms: Terms, schema: Schema, cfg: WrittenPreprocessing) -> None:
    """Raise ConfigError where rows are to be moved, of a task that has nothing that can be."""
    if load_objective(terms.strategy.name, terms.strategy.local).adversarial is not None:
        check_room(schema, cfg, "strategy.local.adversarial")
    if terms.robust is not None:
        check_room(schema, cfg, "robust.every")


def contents_of(
    task: Task, makeup: Makeup, objective: LocalObjective, training: Mapping[str, object]
) -> Contents:
    """What the clients of a run add up: derived alike on both sides.

    Raises ConfigError where the algorithm does not suit the model or the section `training`, and
    where the model has tensors that training moves and that do not travel.
    """
    shapes = dict(makeup.shapes)
    try:
        objective.check(training)
        shared = objective.suited(makeup).shared(list(shapes))
    except ValueError as error:
        raise ConfigError(f"strategy.local cannot be used here: {error}.") from None
    check_left(select_unkept(makeup.left, shapes, shared))
    tensors = tuple((name, shapes[name]) for name in shared)
    return Contents(
        task=task,
        tensors=tensors + float_shapes(objective.beside(makeup.parameters)),
        metrics=objective.metrics,
        has_personal=objective.personal() is not None,
        is_localised=objective.is_localised(makeup),
        w_max=task.w_max or UNKNOWN_W_MAX,
    )


def select_sent(objective: LocalObjective, makeup: Makeup, done: Finished) -> Sent:
    """Select what a client sends and what it keeps after a training; `done` holds whole models.

    Of trained parameters the objective says what is sent. Of shared tensors that no gradient moves it
    is how far they have moved. Tensors that are not shared stay with the client.
    """
    shared = objective.suited(makeup).shared([name for name, _ in makeup.shapes])
    trained = [name for name in shared if name in makeup.trained]
    sent = objective.send(
        replace(
            done,
            start={name: done.start[name] for name in trained},
            local={name: done.local[name] for name in trained},
        )
    )
    update = {
        name: sent.update[name] if name in makeup.trained else done.local[name] - done.start[name]
        for name in shared
    }
    kept = {}
    if len(shared) < len(makeup.shapes):
        kept = {name: array for name, array in done.local.items() if name not in shared}
    return Sent(update | sent.update, sent.metrics, sent.own | kept)


def select_unkept(
    left: Sequence[str], floats: Mapping[str, object], shared: Sequence[str]
) -> tuple[str, ...]:
    """Select of `left`, what training moves and nobody sends, what no client keeps either.

    Where a client keeps all float tensors of a layer, it keeps its counters, too.
    """
    layers = {_layer(name) for name in shared}
    kept = {_layer(name) for name in floats} - layers
    return tuple(one for one in left if _layer(one.partition(" ")[0]) not in kept)


def _layer(name: str) -> str:
    return name.rpartition(".")[0]
