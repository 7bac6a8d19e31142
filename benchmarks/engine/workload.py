"""The work that every simulator is given: rows, clients, cohorts, orders of batches, initial weights.

It is dealt once (`dealing`), kept in one file, and read by programs that know nothing of Calyx: this
file imports NumPy and PyTorch and no more. FedAvg weighted by training rows, one local epoch of SGD
a round; before it trains, each client evaluates the model that it was sent on its validation rows.

Shapes: N rows, C clients of a cohort, R rounds.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Rows = NDArray[np.int64]
Kind = Literal["mlp", "cnn"]
Weights = dict[str, NDArray[Any]]
PIXELS, SIDE, CLASSES = 784, 28, 10
LR = 0.1


@dataclass(frozen=True)
class Setting:
    """A row of the table: how many clients there are, how many take part, and what they train."""

    name: str
    model: Kind
    num_clients: int
    cohort_size: int
    batch_size: int
    rounds: int

    @property
    def label(self) -> str:
        """As in the table, and in `--settings`: `S100-mlp`."""
        return f"{self.name}-{self.model}"


@dataclass(frozen=True)
class Client:
    """The rows of one client, as numbers of rows of the workload."""

    train: Rows
    validation: Rows


@dataclass(frozen=True)
class Workload:
    """All that a simulator needs to give the same model as the others."""

    setting: Setting
    x: NDArray[np.float32]  # [N, 784], 0 to 1
    y: NDArray[np.int64]  # [N], 0 to 9
    clients: tuple[Client, ...]
    test: Rows  # of all clients together; nobody trains on them
    cohorts: NDArray[np.int64]  # [R, C], numbers of clients
    orders: tuple[tuple[Rows, ...], ...]  # [R][C]: the order in which a client takes its rows
    initial: Weights

    def first(self, rounds: int) -> "Workload":
        """The same with so many rounds at most."""
        setting = replace(self.setting, rounds=min(rounds, self.setting.rounds))
        return replace(
            self, setting=setting, cohorts=self.cohorts[:rounds], orders=self.orders[:rounds]
        )

    def save(self, path: Path) -> None:
        """Write it as a file of arrays."""
        each = [rows for client in self.clients for rows in (client.train, client.validation)]
        orders = [order for of_round in self.orders for order in of_round]
        s = self.setting
        numbers = [s.num_clients, s.cohort_size, s.batch_size, s.rounds]
        arrays: dict[str, Any] = {
            "names": [s.name, s.model],
            "numbers": numbers,
            "x": self.x,
            "y": self.y,
            "test": self.test,
            "cohorts": self.cohorts,
            "rows": np.concatenate(each),
            "row_ends": np.cumsum([len(rows) for rows in each]),
            "orders": np.concatenate(orders),
            "order_ends": np.cumsum([len(order) for order in orders]),
            **{f"initial.{name}": value for name, value in self.initial.items()},
        }
        np.savez(path, **arrays)


def read_workload(path: Path) -> Workload:
    """What `Workload.save` wrote."""
    with np.load(path) as kept:
        arrays = dict(kept)
    name, model = arrays["names"].tolist()
    setting = Setting(name, model, *arrays["numbers"].tolist())
    each = np.split(arrays["rows"], arrays["row_ends"][:-1])
    orders = np.split(arrays["orders"], arrays["order_ends"][:-1])
    size = setting.cohort_size
    return Workload(
        setting=setting,
        x=arrays["x"],
        y=arrays["y"],
        clients=tuple(Client(*each[i : i + 2]) for i in range(0, len(each), 2)),
        test=arrays["test"],
        cohorts=arrays["cohorts"],
        orders=tuple(tuple(orders[i : i + size]) for i in range(0, len(orders), size)),
        initial=_of_prefix(arrays, "initial."),
    )


@dataclass(frozen=True)
class Outcome:
    """What came of a run: how long each round took, and the model after the last one."""

    seconds: tuple[float, ...]  # of each round, in order
    weights: Weights

    def save(self, path: Path) -> None:
        """Write it as a file of arrays."""
        arrays: dict[str, Any] = {f"weights.{name}": v for name, v in self.weights.items()}
        np.savez(path, seconds=self.seconds, **arrays)


def read_outcome(path: Path) -> Outcome:
    """What `Outcome.save` wrote."""
    with np.load(path) as kept:
        arrays = dict(kept)
    return Outcome(tuple(arrays["seconds"].tolist()), _of_prefix(arrays, "weights."))


def _of_prefix(arrays: Weights, prefix: str) -> Weights:
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def make_model(kind: Kind) -> nn.Module:
    """MLP 784-128-10 with 101,770 parameters, or a CNN of two convolutions with 80,202."""
    if kind == "mlp":
        return nn.Sequential(nn.Linear(PIXELS, 128), nn.ReLU(), nn.Linear(128, CLASSES))
    return nn.Sequential(
        nn.Unflatten(1, (1, SIDE, SIDE)),
        nn.Conv2d(1, 8, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 280),
        nn.ReLU(),
        nn.Linear(280, CLASSES),
    )


def load_model(kind: Kind, weights: Weights) -> nn.Module:
    """The model with these weights, which are copied."""
    model = make_model(kind)
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return model


def accuracy(work: Workload, weights: Weights) -> float:
    """The share of the test rows that a model with these weights classifies as they are labelled."""
    model = load_model(work.setting.model, weights).eval()
    with torch.no_grad():
        found = model(torch.from_numpy(work.x[work.test])).argmax(dim=1).numpy()
    return float((found == work.y[work.test]).mean())
