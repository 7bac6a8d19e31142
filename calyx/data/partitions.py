"""Partitions: whose rows are whose, where one data set plays several clients. Pure functions.

Every row goes to exactly one client, and a partition depends on its arguments and on the
generator's state alone. It reads no data and knows no task.

Shapes: N rows, n clients. A partition is one sorted array of row indices (int64) a client.
"""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from calyx.config.section import PositiveFloat, PositiveInt, config
from calyx.errors import ConfigError
from calyx.seeding import rng
from calyx.vector.weighing import TaskSection

Rows = NDArray[np.int64]
Partition = tuple[Rows, ...]

MAX_DRAWS = 1000  # 0.6 s with 1,000 clients


@config
class PartitionConfig(TaskSection):
    """The section `task` of a task whose rows are dealt to clients that do not exist in nature."""

    num_clients: Annotated[int, Field(ge=1)]
    partition: Literal["dirichlet", "iid", "shards", "quantity"]
    alpha: PositiveFloat  # α of `dirichlet` (labels) and `quantity` (sizes); small is uneven
    shards_per_client: PositiveInt  # of `shards`: pieces of one label, nearly, that a client gets
    min_rows: PositiveInt  # every client has at least so many rows

    def check_rows(self, rows: int) -> None:
        """Refuse what cannot go round. Raises ConfigError."""
        needed = self.num_clients * self.min_rows
        if needed > rows:
            raise ConfigError(
                f"task.num_clients={self.num_clients} with task.min_rows={self.min_rows} need "
                f"{needed} rows, and {self.name} has {rows}; lower one of them."
            )


def partition(cfg: PartitionConfig, labels: Rows, seed: int) -> Partition:
    """The partition of rows with these `labels` [N] that `cfg` asks for. Raises ConfigError."""
    draw = rng(seed, "partition")
    match cfg.partition:
        case "iid":
            return iid(len(labels), cfg.num_clients, draw)
        case "quantity":
            return quantity(len(labels), cfg, draw)
        case "shards":
            return shards(labels, cfg, draw)
        case "dirichlet":
            return dirichlet(labels, cfg, draw)


def iid(num_rows: int, num_clients: int, draw: np.random.Generator) -> Partition:
    """Rows at random, sizes that differ by at most one."""
    return _sort(np.array_split(draw.permutation(num_rows), num_clients))


def quantity(num_rows: int, cfg: PartitionConfig, draw: np.random.Generator) -> Partition:
    """Labels alike, sizes uneven: `min_rows` each, and of the rest a share from Dirichlet(α).

    Source: Li, Diao, Chen, He, ICDE 2022, arXiv:2102.02079, "quantity skew"; there partitions are
    redrawn until each client has enough rows, which with many clients never ends.
    """
    free = num_rows - cfg.num_clients * cfg.min_rows
    shares = draw.dirichlet(np.full(cfg.num_clients, cfg.alpha))
    ends = (np.cumsum(shares)[:-1] * free).astype(np.int64)
    ends += cfg.min_rows * np.arange(1, cfg.num_clients)
    return _sort(np.split(draw.permutation(num_rows), ends))


def shards(labels: Rows, cfg: PartitionConfig, draw: np.random.Generator) -> Partition:
    """Rows sorted by label, cut into equal shards, `shards_per_client` of them to each at random.

    Source: McMahan et al., AISTATS 2017, arXiv:1602.05629, section 3. Raises ConfigError where
    shards are so small that a client would have fewer than `min_rows`.
    """
    count = cfg.num_clients * cfg.shards_per_client
    least = len(labels) // count * cfg.shards_per_client
    if least < cfg.min_rows:
        raise ConfigError(
            f"{count} shards of {len(labels)} rows leave a client {least} rows, and task.min_rows is "
            f"{cfg.min_rows}; use a smaller task.num_clients, task.shards_per_client or task.min_rows."
        )
    # Shuffled first, so that which rows of a label share a shard is drawn too.
    shuffled = draw.permutation(len(labels))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    pieces = np.array_split(by_label, count)
    dealt = draw.permutation(count).reshape(cfg.num_clients, cfg.shards_per_client)
    return _sort([np.concatenate([pieces[i] for i in own]) for own in dealt])


def dirichlet(labels: Rows, cfg: PartitionConfig, draw: np.random.Generator) -> Partition:
    """Deal each label by shares drawn from Dirichlet(α). Source: Hsu et al. 2019, arXiv:1909.06335.

    Redrawn from the same generator until each client has `min_rows`. Raises ConfigError.
    """
    of_labels = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    for _ in range(MAX_DRAWS):
        rows, sizes = [], np.zeros((len(of_labels), cfg.num_clients), dtype=np.int64)
        for of_label, own in zip(of_labels, sizes, strict=True):
            rows.append(draw.permutation(of_label))
            shares = draw.dirichlet(np.full(cfg.num_clients, cfg.alpha))
            ends = (np.cumsum(shares)[:-1] * len(of_label)).astype(np.int64)
            own[:] = np.diff(ends, prepend=0, append=len(of_label))
        # Most draws of many clients are refused, by their sizes alone.
        if sizes.sum(0).min() >= cfg.min_rows:
            return _deal(np.concatenate(rows), sizes)
    raise ConfigError(
        f"In {MAX_DRAWS} draws no partition gave each of {cfg.num_clients} clients {cfg.min_rows} rows; "
        "use a larger task.alpha, a smaller task.min_rows or a smaller task.num_clients."
    )


def _deal(rows: Rows, sizes: Rows) -> Partition:
    """The sorted rows of each client, of `rows` [N] one label after another, by `sizes` [labels, n]."""
    owners = np.concatenate([np.repeat(np.arange(sizes.shape[1]), own) for own in sizes])
    ordered = rows[np.lexsort((rows, owners))]
    return tuple(np.split(ordered, np.cumsum(sizes.sum(0))[:-1]))


def natural(owners: NDArray[Any]) -> dict[Any, Rows]:
    """The rows of each distinct value of a column [N], by that value, in the values' order."""
    return {value: np.flatnonzero(owners == value) for value in np.unique(owners).tolist()}


def _sort(parts: list[Rows]) -> Partition:
    return tuple(np.sort(part).astype(np.int64) for part in parts)
