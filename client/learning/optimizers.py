"""PyTorch's optimisers in their functional form: the same bytes, without the classes.

The classes of `torch.optim` import PyTorch's compiler when the first one is made: a second or more
in every worker before round 1, for nothing that is used here. See docs/decisions/0004.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

if TYPE_CHECKING:
    from calyx.model.training_config import TrainingConfig

BETAS, EPS = (0.9, 0.999), 1e-8  # PyTorch's own defaults


class Optimizer(Protocol):
    """Moves parameters in place, given their gradients in the same order."""

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the parameters by one step of these gradients."""
        ...


class Sgd:
    """`torch.optim.SGD`, with momentum if it is above 0."""

    def __init__(self, parameters: list[Tensor], cfg: "TrainingConfig") -> None:
        self._parameters, self._cfg = parameters, cfg
        self._momentum: list[Tensor | None] = [None] * len(parameters)
        self._is_plain = cfg.momentum == cfg.weight_decay == 0

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the parameters by one step of these gradients."""
        if self._is_plain and not any(gradient.is_sparse for gradient in gradients):
            # What `sgd` comes to, without what it looks at first.
            torch._foreach_add_(self._parameters, list(gradients), alpha=-self._cfg.lr)
            return
        with torch.no_grad():
            sgd(
                self._parameters,
                list(gradients),
                self._momentum,
                foreach=True,
                weight_decay=self._cfg.weight_decay,
                momentum=self._cfg.momentum,
                lr=self._cfg.lr,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )


class Adam:
    """`torch.optim.Adam`, or `torch.optim.AdamW` with decoupled weight decay."""

    def __init__(self, parameters: list[Tensor], cfg: "TrainingConfig") -> None:
        self._parameters, self._cfg = parameters, cfg
        self._first = [torch.zeros_like(p) for p in parameters]
        self._second = [torch.zeros_like(p) for p in parameters]
        self._steps = [torch.tensor(0.0) for _ in parameters]

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the parameters by one step of these gradients."""
        with torch.no_grad():
            adam(
                self._parameters,
                list(gradients),
                self._first,
                self._second,
                [],
                self._steps,
                foreach=True,
                decoupled_weight_decay=self._cfg.optimizer == "adamw",
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=self._cfg.lr,
                weight_decay=self._cfg.weight_decay,
                eps=EPS,
                maximize=False,
            )


def make_optimizer(parameters: list[Tensor], cfg: "TrainingConfig") -> Optimizer:
    """A fresh optimiser over `parameters`, which are detached."""
    return Sgd(parameters, cfg) if cfg.optimizer == "sgd" else Adam(parameters, cfg)
