"""The workload as tasks of Calyx: mnist's rows, dealt by label as `dealing` deals them to everybody.

They are no part of the package: `ours` makes their entry points known to the runs that it starts.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn
from typing_extensions import override

from benchmarks.engine.workload import Kind, make_model
from calyx.data.schema import Table
from calyx.seeding import rng
from calyx.tasks.mnist import Mnist

Rows = NDArray[np.int64]
ALPHA = 0.5  # of Dirichlet, over labels
LEAST = 3  # rows of a client: one to train on, one that validates, one to test


def deal(labels: Rows, num_clients: int, seed: int) -> tuple[Rows, ...]:
    """Each label's rows dealt to clients by shares from Dirichlet(0.5), sorted.

    A thousand clients of 5,000 rows are never dealt three rows each: who has fewer is given rows of
    who has most.
    """
    draw = rng(seed, "benchmark-partition")
    own: list[list[int]] = [[] for _ in range(num_clients)]
    for label in np.unique(labels):
        of_label = draw.permutation(np.flatnonzero(labels == label))
        shares = draw.dirichlet(np.full(num_clients, ALPHA))
        ends = (np.cumsum(shares)[:-1] * len(of_label)).astype(np.int64)
        for client, part in zip(own, np.split(of_label, ends), strict=True):
            client.extend(part.tolist())
    for client in own:
        while len(client) < LEAST:
            client.append(max(own, key=len).pop())
    return tuple(np.sort(np.array(client, dtype=np.int64)) for client in own)


@lru_cache(maxsize=4)
def _dealt(num_clients: int, seed: int) -> tuple[Rows, ...]:
    return deal(Mnist.labels(), num_clients, seed)


class _Dealt(Mnist):
    kind: Kind

    @override
    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        return self.take(_dealt(self._cfg.num_clients, seed)[number_of(client)])

    @override
    def model(self, num_inputs: int) -> nn.Module:
        return make_model(self.kind)


class Mlp(_Dealt):
    """The MLP on dealt rows."""

    name, kind = "engine_mlp", "mlp"


class Cnn(_Dealt):
    """The CNN on dealt rows."""

    name, kind = "engine_cnn", "cnn"


class Names(_Dealt):
    """The MLP, and as many clients as are asked for: neighbours share rows, 50 each."""

    name, kind = "engine_names", "mlp"
    num_rows = 10**9  # what may be dealt: rows are used more than once

    @override
    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        return self.take((number_of(client) + np.arange(50)) % Mnist.num_rows)


def number_of(client: str) -> int:
    """The number in a client's name."""
    return int(client.rpartition("-")[2])
