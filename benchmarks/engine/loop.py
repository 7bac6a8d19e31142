"""The plain loop: federated averaging as a page of PyTorch, one process, one thread.

`python -m benchmarks.engine.loop WORKLOAD OUTCOME`. It is what everything else is compared with, so
it is ordinary: `load_state_dict`, `torch.optim.SGD`, a batch at a time, a weighted average.
"""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.engine.workload import (
    LR,
    Outcome,
    Rows,
    Workload,
    load_model,
    read_workload,
)

State = dict[str, Tensor]


def main(source: str, target: str) -> None:
    """Train the workload in the file `source`, and write what came of it to `target`."""
    torch.set_num_threads(1)
    run(read_workload(Path(source))).save(Path(target))


def run(work: Workload) -> Outcome:
    """All rounds of the workload."""
    model = load_model(work.setting.model, work.initial)
    x, y = torch.from_numpy(work.x), torch.from_numpy(work.y)
    # A client's own rows, together, as a data set of its own would hold them.
    parts = [(x[c.train], y[c.train], x[c.validation], y[c.validation]) for c in work.clients]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    seconds = []
    for cohort, orders in zip(work.cohorts.tolist(), work.orders, strict=True):
        started = time.perf_counter()
        total = sum(len(parts[client][1]) for client in cohort)
        mean = {name: torch.zeros_like(value) for name, value in weights.items()}
        for client, order in zip(cohort, orders, strict=True):
            train_x, train_y, validation_x, validation_y = parts[client]
            model.load_state_dict(weights)
            evaluate(model, validation_x, validation_y)
            train(model, train_x, train_y, order, work.setting.batch_size)
            for name, value in model.state_dict().items():
                mean[name] += value * (len(train_y) / total)
        weights = mean
        seconds.append(time.perf_counter() - started)
    return Outcome(tuple(seconds), {name: value.numpy() for name, value in weights.items()})


def train(model: nn.Module, x: Tensor, y: Tensor, order: Rows, batch_size: int) -> None:
    """One epoch over the rows in this order."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    model.train()
    rows = torch.from_numpy(order)
    for batch in torch.split(rows, batch_size):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x[batch]), y[batch])
        loss.backward()  # type: ignore[no-untyped-call] # PyTorch leaves it without types
        optimizer.step()


def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Loss and accuracy; zeros of a client without validation rows."""
    if not len(y):
        return 0.0, 0.0
    model.eval()
    with torch.no_grad():
        output = model(x)
        loss = functional.cross_entropy(output, y)
    return loss.item(), (output.argmax(dim=1) == y).float().mean().item()


if __name__ == "__main__":
    main(*sys.argv[1:])
