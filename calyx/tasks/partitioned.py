"""A task whose rows are one installed data set, dealt to clients that do not exist in nature.

See docs/decisions/0070.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.config.section import parse
from calyx.data.names import client_names
from calyx.data.partitions import Partition, PartitionConfig, partition
from calyx.data.schema import Table
from calyx.errors import ConfigError
from calyx.tasks.task import refuse_stranger


class PartitionedTask:
    """What such tasks share; each says its `name`, its `source`, its rows and its model.

    The constructor raises ConfigError where the rows do not suffice for the clients.
    """

    name: str
    source: str  # where the rows are, in words
    num_rows: int
    section = PartitionConfig

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._cfg = parse(PartitionConfig, section, "task")
        self._cfg.check_rows(self.num_rows)
        self.w_max, self.clients = self._cfg.w_max, client_names(self._cfg.num_clients)

    @staticmethod
    def labels() -> NDArray[np.int64]:
        """The class of each row [N]. Raises DataError."""
        raise NotImplementedError

    @staticmethod
    def take(rows: NDArray[np.int64]) -> Table:
        """The rows with these indices. Raises DataError."""
        raise NotImplementedError

    def check_client(self, client: str, data_dir: Path | None) -> None:
        """Raise ConfigError for a client that is none of this task's, and for a folder."""
        refuse_stranger(self.name, client, self.clients)
        if data_dir is not None:
            raise ConfigError(
                f"task={self.name} has its data in {self.source} and reads no folder; leave "
                "task.data_dir out."
            )

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """The rows of `client` in the partition drawn from `seed`. Raises DataError, ConfigError."""
        self.check_client(client, data_dir)
        parts = _partition(self.labels, self._cfg, seed)
        return self.take(parts[self.clients.index(client)])


@lru_cache(maxsize=16)
def _partition(
    labels: Callable[[], NDArray[np.int64]], cfg: PartitionConfig, seed: int
) -> Partition:
    return partition(cfg, labels(), seed)
