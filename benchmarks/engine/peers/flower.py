"""Flower's own simulation on the workload: its FedAvg, a ClientApp, and Ray actors on all cores.

A node is told whose rows it trains on, so that cohorts are everybody's; its evaluation before training
goes with its answer. Rows are in a file that each actor reads once.
"""

import os
import sys
import time
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MessageType,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from typing_extensions import override

from benchmarks.engine.loop import evaluate, train
from benchmarks.engine.workload import Outcome, Workload, make_model, read_workload


@lru_cache(maxsize=1)
def _work(path: str) -> Workload:
    torch.set_num_threads(1)
    return read_workload(Path(path))


@lru_cache(maxsize=1)
def _model(kind: Any) -> torch.nn.Module:
    return make_model(kind)


def answer(message: Message, context: Context) -> Message:
    """A client: evaluate the model that came, train it, send it back."""
    record: Any = message.content["config"]
    work = _work(str(record["path"]))
    number, place = int(record["server-round"]) - 1, int(record["place"])
    own = work.clients[int(work.cohorts[number][place])]
    model, arrays = _model(work.setting.model), message.content["arrays"]
    model.load_state_dict(arrays.to_torch_state_dict())  # type: ignore[union-attr]
    x, y = torch.from_numpy(work.x), torch.from_numpy(work.y)
    loss, accuracy = evaluate(model, x[own.validation], y[own.validation])
    order = work.orders[number][place]
    train(model, x[own.train], y[own.train], order, work.setting.batch_size)
    metrics: dict[str, Any] = {
        "num-examples": len(own.train),
        "val_loss": loss,
        "val_accuracy": accuracy,
    }
    content = RecordDict(
        {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)}
    )
    return Message(content, reply_to=message)


class Averaging(FedAvg):
    """Flower's FedAvg, with cohorts that the workload names, and a clock."""

    def __init__(self, path: str, work: Workload) -> None:
        super().__init__(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
        self.path, self.work = path, work
        self.moments: list[float] = []

    @override
    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        self.moments.append(time.perf_counter())
        nodes = list(grid.get_node_ids())
        while len(nodes) < self.work.setting.num_clients:
            time.sleep(0.1)
            nodes = list(grid.get_node_ids())
        return [
            Message(
                RecordDict(
                    {
                        "arrays": arrays,
                        "config": ConfigRecord(
                            {"path": self.path, "server-round": server_round, "place": place}
                        ),
                    }
                ),
                nodes[client],
                MessageType.TRAIN,
            )
            for place, client in enumerate(self.work.cohorts[server_round - 1].tolist())
        ]


def run(path: str) -> Outcome:
    """All rounds of the workload in the file `path`."""
    work = _work(path)
    strategy, results = Averaging(path, work), []
    server, client = ServerApp(), ClientApp()
    client.train()(answer)

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        initial = ArrayRecord({n: torch.tensor(v) for n, v in work.initial.items()})
        found = strategy.start(grid, initial, num_rounds=work.setting.rounds)
        strategy.moments.append(time.perf_counter())
        results.append(found.arrays.to_torch_state_dict())

    run_simulation(
        server,
        client,
        num_supernodes=work.setting.num_clients,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
    (state,) = results
    seconds = [after - before for before, after in pairwise(strategy.moments)]
    return Outcome(tuple(seconds), {name: value.numpy() for name, value in state.items()})


if __name__ == "__main__":
    os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    from benchmarks.engine.peers import flower  # its actors find the client in a module

    flower.run(sys.argv[1]).save(Path(sys.argv[2]))
