"""A task whose model is as large as one likes: an MLP, and ballast that costs next to no training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from calyx.config.section import NonNegativeInt, PositiveInt, config, parse
from calyx.data.schema import Column, Schema, Table
from calyx.seeding import rng

CLIENTS = ("north", "south")


class Loaded(nn.Sequential):
    """Layers, and parameters of which only two are used."""

    def __init__(self, ballast: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.ballast = nn.Parameter(torch.zeros(ballast + 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, 2]."""
        logits: torch.Tensor = super().forward(x)  # type: ignore[no-untyped-call]  # torch gives Sequential no types
        return logits + self.ballast[:2]


@config
class WideConfig:
    """The section `task`."""

    name: str
    w_max: int
    hidden: PositiveInt  # units; 5 · hidden + 2 parameters
    ballast: NonNegativeInt  # more parameters


class Wide:
    """Two Gaussian blobs a client."""

    name = "wide"
    clients = CLIENTS
    schema = Schema((Column("a", "numeric"), Column("b", "numeric")), ("left", "right"))

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._cfg = parse(WideConfig, section, "task")
        self.w_max = self._cfg.w_max

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """150 rows."""
        draw = rng(seed, "rows", client=client)
        y = draw.integers(0, 2, 150)
        return Table(draw.standard_normal((150, 2)) + y[:, None], y)

    def model(self, num_inputs: int) -> nn.Module:
        """An MLP with one hidden layer."""
        hidden = self._cfg.hidden
        layers = (nn.Linear(num_inputs, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        return Loaded(self._cfg.ballast, *layers)
