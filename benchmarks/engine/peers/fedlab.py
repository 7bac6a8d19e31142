"""FedLab (JMLR 24, 2023) on the workload: its standalone pipeline of FedAvg, one process.

Its server averages without weights and draws its own cohorts; both are overridden by what the workload says.
"""

import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# FedLab imports torchvision, which comes without its operators beside a PyTorch for processors: none is used.
for _name in ("nms", "qnms"):
    torch.library.define(
        f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    )

from fedlab.contrib.algorithm.basic_client import SGDSerialClientTrainer  # noqa: E402
from fedlab.contrib.algorithm.basic_server import SyncServerHandler  # noqa: E402
from fedlab.core.standalone import StandalonePipeline  # noqa: E402
from fedlab.utils import Aggregators, SerializationTool  # noqa: E402

from benchmarks.engine.loop import evaluate  # noqa: E402
from benchmarks.engine.workload import LR, Outcome, Workload, load_model, read_workload  # noqa: E402


class Rows:
    """What FedLab asks of a data set: batches of a client, in the workload's order."""

    def __init__(self, work: Workload) -> None:
        x, y = torch.from_numpy(work.x), torch.from_numpy(work.y)
        self.own = [(x[c.train], y[c.train]) for c in work.clients]
        self.validation = [(x[c.validation], y[c.validation]) for c in work.clients]
        self.orders: dict[int, Tensor] = {}  # of this round's clients

    def get_dataloader(self, client: int, batch_size: int) -> list[tuple[Tensor, Tensor]]:
        """The batches of an epoch."""
        x, y = self.own[client]
        return [(x[rows], y[rows]) for rows in torch.split(self.orders[client], batch_size)]


class Trainer(SGDSerialClientTrainer):  # type: ignore[misc] # FedLab is not installed where types are checked
    """Clients that evaluate the model which they are sent, and say how many rows they have."""

    def local_process(self, payload: Any, id_list: list[int]) -> None:
        """Evaluate and train each client of a cohort."""
        for client in id_list:
            self.set_model(payload[0])
            evaluate(self._model, *self.dataset.validation[client])
            batches = self.dataset.get_dataloader(client, self.batch_size)
            pack = self.train(payload[0], batches)
            self.cache.append([*pack, torch.tensor(float(len(self.dataset.own[client][1])))])


class Handler(SyncServerHandler):  # type: ignore[misc]
    """A server that weights by rows, with the workload's cohorts."""

    def __init__(self, work: Workload, rows: Rows) -> None:
        s = work.setting
        model = load_model(s.model, work.initial)
        super().__init__(model, s.rounds, s.cohort_size / s.num_clients)
        self.work, self.rows, self.moments = work, rows, [time.perf_counter()]

    def sample_clients(self) -> list[int]:
        """This round's cohort."""
        cohort: list[int] = self.work.cohorts[self.round].tolist()
        orders = map(torch.from_numpy, self.work.orders[self.round])
        self.rows.orders = dict(zip(cohort, orders, strict=True))
        return cohort

    def global_update(self, buffer: list[list[Tensor]]) -> None:
        """Average by rows."""
        weights = torch.stack([pack[1] for pack in buffer])
        mean = Aggregators.fedavg_aggregate([pack[0] for pack in buffer], weights)
        SerializationTool.deserialize_model(self._model, mean)
        self.moments.append(time.perf_counter())


class Pipeline(StandalonePipeline):  # type: ignore[misc]
    """FedLab's, which evaluates nothing of its own."""

    def evaluate(self) -> None:
        """Clients have evaluated."""


def run(work: Workload) -> Outcome:
    """All rounds of the workload."""
    rows = Rows(work)
    handler = Handler(work, rows)
    trainer = Trainer(load_model(work.setting.model, work.initial), work.setting.num_clients)
    trainer.setup_dataset(rows)
    trainer.setup_optim(1, work.setting.batch_size, LR)
    Pipeline(handler, trainer).main()
    seconds = [after - before for before, after in pairwise(handler.moments)]
    state = {name: value.numpy() for name, value in handler._model.state_dict().items()}
    return Outcome(tuple(seconds), state)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(read_workload(Path(sys.argv[1]))).save(Path(sys.argv[2]))
