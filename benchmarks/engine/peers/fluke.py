"""fluke (Polato, 2024, arXiv:2412.15728) on the workload: its centralised FedAvg, one process.

Its own evaluation computes seven metrics by torchmetrics and is switched off; a client evaluates the
model that it is sent with the plain loop's function.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from fluke import DDict, FlukeENV
from fluke.algorithms.fedavg import FedAVG
from fluke.client import Client
from fluke.config import OptimizerConfigurator
from fluke.data import FastDataLoader
from fluke.server import Server
from torch import Tensor

from benchmarks.engine.loop import evaluate
from benchmarks.engine.workload import LR, Outcome, Workload, load_model, read_workload


class Batches(FastDataLoader):  # type: ignore[misc] # fluke is not installed where types are checked
    """fluke's loader, with the workload's order of rows."""

    order: Tensor

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch."""
        for rows in torch.split(self.order, self.batch_size):
            yield tuple(tensor[rows] for tensor in self.tensors)


class Member(Client):  # type: ignore[misc]
    """A client that evaluates before it trains."""

    validation: tuple[Tensor, Tensor]

    def fit(self, override_local_epochs: int = 0) -> Any:
        """Evaluate, then train."""
        evaluate(self.model, *self.validation)
        return super().fit(override_local_epochs)


class Center(Server):  # type: ignore[misc]
    """A server with the workload's cohorts, and a clock."""

    work: Workload
    moments: list[float]

    def get_eligible_clients(self, eligible_perc: float) -> Sequence[Any]:
        """This round's cohort."""
        number = len(self.moments)
        self.moments.append(time.perf_counter())
        chosen = [self.clients[i] for i in self.work.cohorts[number].tolist()]
        for client, order in zip(chosen, self.work.orders[number], strict=True):
            client.train_set.order = torch.from_numpy(order)
        return chosen


def run(work: Workload) -> Outcome:
    """All rounds of the workload."""
    FlukeENV().set_eval_cfg(locals=False, server=False, pre_fit=False, post_fit=False)
    x, y = torch.from_numpy(work.x), torch.from_numpy(work.y)
    optimizer = OptimizerConfigurator(DDict(name="SGD", lr=LR))
    clients = []
    for number, own in enumerate(work.clients):
        size = work.setting.batch_size
        rows = Batches(x[own.train], y[own.train], num_labels=10, batch_size=size)
        client = Member(number, rows, None, optimizer, torch.nn.CrossEntropyLoss(), local_epochs=1)
        client.validation = (x[own.validation], y[own.validation])
        clients.append(client)
    server = Center(load_model(work.setting.model, work.initial), None, clients, weighted=True)
    server.work, server.moments = work, []
    federation = FedAVG(len(clients), None, DDict(), clients=clients, server=server)
    share = work.setting.cohort_size / work.setting.num_clients
    federation.run(work.setting.rounds, share, finalize=False)
    moments = [*server.moments, time.perf_counter()]
    state = {name: value.numpy() for name, value in server.model.state_dict().items()}
    return Outcome(tuple(b - a for a, b in pairwise(moments)), state)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(read_workload(Path(sys.argv[1]))).save(Path(sys.argv[2]))
