"""digits: scikit-learn's 1,797 handwritten digits of 8×8 pixels, spread unevenly over clients.

The data is in scikit-learn's own package: nothing is downloaded. Origin: Alpaydin and Kaynak 1998,
UCI Machine Learning Repository, doi:10.24432/C50P49.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calyx.config.section import parse
from calyx.data.partitions import Partition, PartitionConfig, client_names, partition
from calyx.data.schema import Column, Schema, Table
from calyx.errors import ConfigError
from calyx.tasks.task import refuse_stranger

if TYPE_CHECKING:
    from torch import nn

_ROWS = 1797
_HIDDEN = 64


class Digits:
    """The default task: ten classes, 64 pixels of 0 (paper) to 1 (ink), an MLP with one hidden layer."""

    name = "digits"
    section = PartitionConfig
    schema = Schema(
        columns=tuple(
            Column(f"pixel_{row}_{column}", "image", low=0, high=1)
            for row in range(8)
            for column in range(8)
        ),
        classes=tuple("0123456789"),
    )

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._cfg = parse(PartitionConfig, section, "task")
        self._cfg.check_rows(_ROWS)
        self.w_max, self.clients = self._cfg.w_max, client_names(self._cfg.num_clients)

    def check_client(self, client: str, data_dir: Path | None) -> None:
        """Raise ConfigError for a client that is none of this task's, and for a folder."""
        refuse_stranger(self.name, client, self.clients)
        if data_dir is not None:
            raise ConfigError(
                "task=digits has its data in scikit-learn and reads no folder; leave task.data_dir out."
            )

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """The rows of `client` in the partition drawn from `seed`. Raises ConfigError."""
        self.check_client(client, data_dir)
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
    # What `sklearn.datasets.load_digits` reads. Its own import takes a second of every start.
    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    rows = np.loadtxt(str(file), delimiter=",")
    return Table(rows[:, :-1] / 16.0, rows[:, -1].astype(np.int64))


@lru_cache(maxsize=16)
def _partition(cfg: PartitionConfig, seed: int) -> Partition:
    return partition(cfg, _digits().y, seed)
