"""A task whose model is as large as one likes: 5 · hidden + 2 parameters, and next to no training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from calyx.config import PositiveInt, config, parse
from calyx.seeding import rng
from calyx.tasks.base import Column, Schema, Table

CLIENTS = ("north", "south")


@config
class WideConfig:
    """The section `task`."""

    name: str
    w_max: int
    hidden: PositiveInt


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
        return nn.Sequential(nn.Linear(num_inputs, hidden), nn.ReLU(), nn.Linear(hidden, 2))
