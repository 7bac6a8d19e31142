"""digits: scikit-learn's 1,797 handwritten digits of 8×8 pixels, spread unevenly over clients.

The data is in scikit-learn's own package: nothing is downloaded. Origin: Alpaydin and Kaynak 1998,
UCI Machine Learning Repository, doi:10.24432/C50P49.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from calyx.config import PositiveFloat, PositiveInt, config, parse
from calyx.errors import ConfigError, DataError
from calyx.seeding import rng
from calyx.tasks.base import Column, Schema, Table, check_w_max

if TYPE_CHECKING:
    from torch import nn

MAX_DRAWS = 1000  # 1.5 s with 100 clients
_ROWS = 1797
_HIDDEN = 64


@config
class DigitsConfig:
    """The section `task`."""

    name: str
    num_clients: Annotated[int, Field(ge=1, le=_ROWS)]
    alpha: PositiveFloat  # α of the Dirichlet distribution of labels over clients; small is uneven
    min_rows: PositiveInt  # every client has at least so many rows
    w_max: PositiveInt  # largest weight of a client, in training rows; a power of two

    def __post_init__(self) -> None:
        """The rows must go round."""
        check_w_max(self.w_max)
        if self.num_clients * self.min_rows > _ROWS:
            raise ValueError(
                f"num_clients={self.num_clients} with min_rows={self.min_rows} need "
                f"{self.num_clients * self.min_rows} rows, and digits has {_ROWS}"
            )


class Digits:
    """The default task: ten classes, 64 pixels of 0 (paper) to 1 (ink), an MLP with one hidden layer."""

    name = "digits"
    schema = Schema(
        columns=tuple(
            Column(f"pixel_{row}_{column}", "numeric", low=0, high=1)
            for row in range(8)
            for column in range(8)
        ),
        classes=tuple("0123456789"),
    )

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._cfg = parse(DigitsConfig, section, "task")
        self.w_max = self._cfg.w_max
        width = max(2, len(str(self._cfg.num_clients - 1)))
        self.clients = tuple(f"client-{i:0{width}d}" for i in range(self._cfg.num_clients))

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """The rows of `client` in the partition drawn from `seed`. Raises DataError."""
        if data_dir is not None:
            raise DataError(
                "task=digits has its data in scikit-learn and reads no folder; leave task.data_dir out."
            )
        if client not in self.clients:
            raise DataError(
                f"task=digits has no client {client}; it has {self.clients[0]} … {self.clients[-1]}."
            )
        table = _digits()
        return table.take(_partition(self._cfg, seed)[self.clients.index(client)])

    def model(self, num_inputs: int) -> "nn.Module":
        """MLP: inputs → 64, ReLU → 10 logits."""
        from torch import nn

        return nn.Sequential(
            nn.Linear(num_inputs, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, len(self.schema.classes)),
        )


@lru_cache(maxsize=1)
def _digits() -> Table:
    from sklearn.datasets import load_digits

    data = load_digits()
    return Table(data.data / 16.0, data.target.astype(np.int64))


@lru_cache(maxsize=16)
def _partition(cfg: DigitsConfig, seed: int) -> tuple[NDArray[np.int64], ...]:
    """Rows of each client: of each label, shares drawn from Dirichlet(α) (Hsu et al. 2019).

    Redrawn from the same generator until each client has `min_rows`. Raises ConfigError.
    """
    labels, draw = _digits().y, rng(seed, "partition")
    for _ in range(MAX_DRAWS):
        rows: list[list[NDArray[np.int64]]] = [[] for _ in range(cfg.num_clients)]
        for label in np.unique(labels):
            of_label = draw.permutation(np.flatnonzero(labels == label))
            shares = draw.dirichlet(np.full(cfg.num_clients, cfg.alpha))
            ends = (np.cumsum(shares)[:-1] * len(of_label)).astype(np.int64)
            for client, part in zip(rows, np.split(of_label, ends), strict=True):
                client.append(part)
        clients = tuple(np.sort(np.concatenate(parts)) for parts in rows)
        if min(map(len, clients)) >= cfg.min_rows:
            return clients
    raise ConfigError(
        f"In {MAX_DRAWS} draws no partition gave each of {cfg.num_clients} clients {cfg.min_rows} rows; "
        "use a larger task.alpha, a smaller task.min_rows or a smaller task.num_clients."
    )
