"""Rows moved towards a greater loss, as whoever knows the model can move them: FGSM and PGD.

Goodfellow et al. 2015 (arXiv:1412.6572, section 4) and Madry et al. 2018 (arXiv:1706.06083, section 2.1).
Each input moves by at most ε, and never out of the range that its column's schema allows. See
docs/decisions/0093.

Shapes: B rows of a batch, F inputs, K outputs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calyx.data.schema import Part
from calyx.errors import ConfigError
from calyx.model.attack_config import AttackConfig
from calyx.model.evaluation import BATCH_ROWS, loss_of
from calyx.model.layers import seeded
from calyx.preprocessing.room import Room

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Run = Callable[["Tensor"], "Tensor"]  # outputs [B, K] of inputs [B, F]


@dataclass(frozen=True)
class Attack:
    """One attack on inputs of one preprocessing; the tensors are on the model's device."""

    epsilon: float  # ε, in units of the inputs
    steps: int
    step_size: float  # α
    is_random: bool  # whether it begins at a random place of the ball
    low: "Tensor"  # [F]
    high: "Tensor"  # [F]
    marks: "Tensor"  # [F, 2]

    @staticmethod
    def of(cfg: AttackConfig, room: Room, device: "torch.device") -> "Attack":
        """The attack that a config says."""
        import torch

        tensors = [torch.from_numpy(one).to(device) for one in (room.low, room.high, room.marks)]
        return Attack(cfg.epsilon, cfg.steps, cfg.step_size, cfg.method == "pgd", *tensors)

    def move(self, run: Run, x: "Tensor", y: "Tensor", draw: np.random.Generator) -> "Tensor":
        """Inputs near `x` [B, F] at which the loss of `y` [B] is greater; `x` itself is left as it is.

        Where the loss has no slope, or none that is finite, an input stays. Raises ConfigError where
        the outputs do not depend on the inputs by a gradient.
        """
        import torch

        least, most = self._ends(x)
        moved = x.detach().clone()
        if self.is_random:
            start = draw.uniform(-self.epsilon, self.epsilon, size=tuple(x.shape))
            moved += torch.from_numpy(start.astype(np.float32)).to(x.device)
            moved = torch.clamp(moved, least, most)
        for _ in range(self.steps):
            slope = _slope(run, moved, y)
            moved = torch.clamp(moved + self.step_size * slope.sign(), least, most)
        return moved

    def _ends(self, x: "Tensor") -> tuple["Tensor", "Tensor"]:
        """The ends [B, F] that no input leaves. A row that is out of its range already is not moved on."""
        import torch

        marked = torch.cat([x, x.new_zeros(len(x), 1)], dim=1)[:, self.marks] != 0
        moves = (self.low < self.high) & ~marked.any(dim=2)
        least = torch.maximum(x - self.epsilon, torch.minimum(self.low, x))
        most = torch.minimum(x + self.epsilon, torch.maximum(self.high, x))
        return torch.where(moves, least, x), torch.where(moves, most, x)


def _slope(run: Run, x: "Tensor", y: "Tensor") -> "Tensor":
    """The gradient [B, F] of the summed loss by the inputs; 0 where it is not finite."""
    import torch

    with torch.enable_grad():
        inputs = x.detach().clone().requires_grad_()
        # A clone: a model may write into its input.
        loss = loss_of(run(inputs.clone()), y, "sum")
        slope = (
            torch.autograd.grad(loss, inputs, allow_unused=True)[0] if loss.requires_grad else None
        )
    if slope is None:
        raise ConfigError(
            "This model's outputs have no gradient by its inputs, so that no row can be moved against it: "
            "leave strategy.local.adversarial and robust.every out."
        )
    return torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)


@contextmanager
def judging(model: "nn.Module") -> Iterator[None]:
    """The model in evaluation mode, and then in the mode that it was in.

    An attack is on the model as it is used: no layer draws, and no running mean moves.
    """
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)


def move_part(model: "nn.Module", part: Part, attack: Attack, draw: np.random.Generator) -> Part:
    """The rows of a part, moved against `model`: what an attacker shows it in their place."""
    import torch

    moved = [part.x[:0]]
    with judging(model), seeded(model, 0, "evaluation"):
        for start in range(0, len(part), BATCH_ROWS):
            rows = slice(start, start + BATCH_ROWS)
            x = torch.tensor(part.x[rows], device=attack.low.device)
            y = torch.tensor(part.y[rows], device=attack.low.device)
            moved.append(attack.move(model, x, y, draw).cpu().numpy())
    return Part(np.concatenate(moved), part.y, part.num_classes, part.exact)
