"""pfl-research (Apple, arXiv:2404.06430) on the workload: its FederatedAveraging on its SimulatedBackend.

One process, as its simulator has without several GPUs. Its own evaluation is of a user's training rows,
twice a round, and is switched off: the validation rows are evaluated by its model where a client begins.
"""

import itertools
import logging
import sys
import time
from pathlib import Path
from typing import Any

import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics, Weighted
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.engine.workload import LR, Outcome, Workload, load_model, read_workload


class Trained(nn.Module):
    """The workload's model with the two methods that pfl asks for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of a batch."""
        self.train()
        return functional.cross_entropy(self.network(x), y)

    @torch.no_grad()
    def metrics(self, x: Tensor, y: Tensor) -> dict[str, Any]:
        """Loss and accuracy of some rows."""
        self.eval()
        output = self.network(x)
        loss = functional.cross_entropy(output, y, reduction="sum").item()
        correct = (output.argmax(dim=1) == y).sum().item()
        return {"loss": Weighted(loss, len(y)), "accuracy": Weighted(correct, len(y))}


class Averaging(FederatedAveraging):  # type: ignore[misc] # pfl is not installed where types are checked
    """Federated averaging whose clients evaluate the model that they are sent."""

    def train_one_user(
        self, initial_model_state: Any, model: Any, user_dataset: Any, central_context: Any
    ) -> Any:
        """Evaluate, then train."""
        validation = user_dataset.metadata["validation"]
        if len(validation):
            model.evaluate(validation)
        return super().train_one_user(initial_model_state, model, user_dataset, central_context)


class Clock(TrainingProcessCallback):  # type: ignore[misc]
    """Notes when each round ended."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_train_begin(self, *, model: Any) -> Any:
        """The start of the first round."""
        self.moments.append(time.perf_counter())
        return Metrics()

    def after_central_iteration(
        self, aggregate_metrics: Any, model: Any, *, central_iteration: int
    ) -> Any:
        """The end of a round."""
        self.moments.append(time.perf_counter())
        return False, Metrics()


def run(work: Workload) -> Outcome:
    """All rounds of the workload."""
    x, y = torch.from_numpy(work.x), torch.from_numpy(work.y)
    own = [(x[c.train], y[c.train]) for c in work.clients]
    validation = [PyTorchTensorDataset((x[c.validation], y[c.validation])) for c in work.clients]
    asked = [
        (client, torch.from_numpy(order))
        for cohort, orders in zip(work.cohorts.tolist(), work.orders, strict=True)
        for client, order in zip(cohort, orders, strict=True)
    ]
    users = itertools.chain(range(len(asked)), itertools.repeat(0))

    def make_dataset(number: int) -> Any:
        client, order = asked[number]
        rows = tuple(part[order] for part in own[client])
        return PyTorchTensorDataset(rows, metadata={"validation": validation[client]})

    network = Trained(load_model(work.setting.model, work.initial))
    model = PyTorchModel(network, torch.optim.SGD, torch.optim.SGD(network.parameters(), lr=1.0))
    data, clock = FederatedDataset(make_dataset, lambda: next(users)), Clock()
    Averaging().run(
        NNAlgorithmParams(
            central_num_iterations=work.setting.rounds,
            evaluation_frequency=work.setting.rounds,
            train_cohort_size=work.setting.cohort_size,
            val_cohort_size=0,
        ),
        SimulatedBackend(data, data, [WeightByDatapoints()]),
        model,
        NNTrainHyperParams(
            local_num_epochs=1,
            local_learning_rate=LR,
            local_batch_size=work.setting.batch_size,
        ),
        NNEvalHyperParams(local_batch_size=None),
        [clock],
        send_metrics_to_platform=False,  # it would print them
    )
    state = {name: value.numpy() for name, value in network.network.state_dict().items()}
    seconds = [after - before for before, after in itertools.pairwise(clock.moments)]
    return Outcome(tuple(seconds), state)


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    run(read_workload(Path(sys.argv[1]))).save(Path(sys.argv[2]))
