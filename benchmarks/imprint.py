"""What a server reads of single rows that chooses the weights of a round: a part of `benchmarks.leakage`.

Each hidden unit looks at the same direction and begins to answer a little later than the one before, so
that the steps of two neighbours differ by the rows between their thresholds. Where that is one row, the
quotient of the differences is the row. Source: Fowl et al., "Robbing the Fed", ICLR 2022,
arXiv:2110.13057, with thresholds about one row apart. Clients train by Calyx's own code, and the server
sees one sum. No tuning was spent on it: what it reads is a lower bound.

Shapes: N rows of all clients, F columns, H hidden units.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer
from torch import nn

from calyx.data.schema import Part
from calyx.machine.hardware import Hardware
from calyx.model.metrics import CLIPPED, LOSS
from calyx.model.training_config import EarlyStopping, TrainingConfig
from calyx.model.weights import Weights, float_shapes, load_into, weights_of
from calyx.seeding import rng
from calyx.vector.contribution import Contribution, Layout, decode, encode
from calyx.vector.quantise import FixedPoint, Residues, add
from client.learning.training import LocalJob, train
from strategies.local import LocalObjective

SITES, SUMS = 6, 6
TRAINED = 0.6  # of a site's rows
NEAR = 0.02  # of a column's range: a row is read where every column is that near
HARDWARE = Hardware("cpu", 1, "float32", deterministic=True)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Allowed:
    """What a server asks for within a policy, and how it sets the weights."""

    policy: str
    hidden: int
    lr: float
    batch_size: int
    epochs: int
    clip: float
    n_max: int
    output: float  # size of the output layer's weights
    rows_apart: float | None  # between two thresholds; None: thresholds over all rows


ASKED = (
    Allowed("any value, as before", 1500, 0.1, 4096, 1, 1.0, 8, 0.01, None),
    Allowed("the template of task=csv", 32, 0.2, 64, 1, 1.0, 64, 0.1, 1.0),
    Allowed("every key at its default", 32, 0.1, 8, 2, 0.2, 128, 1.0, 1.0),
)


@dataclass(frozen=True)
class Read:
    """What the server has read with one policy."""

    policy: str
    rows: int  # of all clients' training parts
    one_sum: int  # of them read from the first sum
    all_sums: int  # from `SUMS` sums together


@dataclass(frozen=True)
class Clients:
    """The rows of six sites, standardised by what their sums say, as a default run has them."""

    x: NDArray[np.float32]  # [N, F]
    y: NDArray[np.int64]  # [N]
    owners: NDArray[np.int64]  # [N], of training rows; −1 of others

    @property
    def trained(self) -> NDArray[np.float32]:
        """Rows that anybody trains on."""
        return self.x[self.owners >= 0]


def make_clients(seed: int = 0) -> Clients:
    """569 rows of scikit-learn's breast cancer table, dealt to six sites."""
    found = load_breast_cancer()
    x = np.clip((found.data - found.data.mean(0)) / found.data.std(0), -4, 4).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(x))
    owners = np.full(len(x), -1)
    for site, rows in enumerate(np.array_split(np.arange(len(x)), SITES)):
        owners[rows[: int(len(rows) * TRAINED)]] = site
    return Clients(x[order], found.target[order].astype(np.int64), owners)


def measure(asked: Iterable[Allowed] = ASKED, sums: int = SUMS) -> list[Read]:
    """How many rows each policy lets the server read."""
    clients, found = make_clients(), []
    for one in asked:
        read: list[set[int]] = []
        for number in range(sums):
            read.append(_read(clients, _sum(clients, one, number)))
        rows = len(clients.trained)
        found.append(Read(one.policy, rows, len(read[0]), len(set().union(*read))))
    return found


def _sum(clients: Clients, asked: Allowed, number: int) -> tuple[Array, Array]:
    """The mean update [H, F] and [H] of the hidden layer that a secure sum shows."""
    model = _chosen(clients, asked, number)
    before = {name: array.copy() for name, array in weights_of(model).items()}
    fixed = FixedPoint(32, asked.n_max, asked.clip)
    layout = Layout(fixed, 256, float_shapes(before), (LOSS,), (CLIPPED,))
    vectors = [
        _vector(model, before, clients, (site, asked), layout)
        for site in range(int(clients.owners.max()) + 1)
    ]
    total = reduce(partial(add, fixed=fixed), vectors)
    update = decode(total, len(vectors), layout).update
    weight, bias = list(update.values())[:2]
    return weight, bias


def _chosen(clients: Clients, asked: Allowed, number: int) -> nn.Module:
    """A model by which neighbours of the hidden layer tell apart what lies between them.

    Means and correlations are what the audit has told the server.
    """
    draw = np.random.default_rng([7, number])
    direction: Array = draw.normal(size=(clients.x.shape[1],))
    direction = direction / np.sqrt(direction @ np.cov(clients.x.T) @ direction)
    units = np.arange(asked.hidden)
    places: Array = (units + 0.5) / asked.hidden
    if asked.rows_apart is not None:
        share = asked.rows_apart / len(clients.trained)
        start = float(draw.uniform(0.2, 0.8)) - asked.hidden / 2 * share
        places = np.clip(start + units * share, 1e-4, 0.9999)
    first, last = nn.Linear(clients.x.shape[1], asked.hidden), nn.Linear(asked.hidden, 2)
    with torch.no_grad():
        first.weight[:] = torch.tensor(np.tile(direction, (asked.hidden, 1)), dtype=torch.float32)
        first.bias[:] = torch.tensor(-norm.ppf(places), dtype=torch.float32)
        last.weight[:] = torch.tensor([[asked.output], [-asked.output]])
        last.bias[:] = 0
    return nn.Sequential(first, nn.ReLU(), last)


def _vector(
    model: nn.Module,
    before: Weights,
    clients: Clients,
    asked: tuple[int, Allowed],
    layout: Layout,
) -> Residues:
    """What one site sends, by the client's own code."""
    site, allowed = asked
    load_into(model, before)
    rows = clients.owners == site
    part, nothing = Part(clients.x[rows], clients.y[rows], 2), Part(clients.x[:0], clients.y[:0], 2)
    cfg = TrainingConfig(
        name="default",
        epochs=allowed.epochs,
        batch_size=allowed.batch_size,
        lr=allowed.lr,
        optimizer="sgd",
        momentum=0.0,
        weight_decay=0.0,
        early_stopping=EarlyStopping(patience=None, min_delta=0.0),
    )
    name = f"site-{site}"
    trained = train(model, part, nothing, LocalJob(cfg, LocalObjective(), HARDWARE, 7, 2, name))
    after = weights_of(model)
    update = {key: after[key] - before[key] for key in before}
    cut = sum(int((np.abs(part) > layout.fixed.clip).sum()) for part in update.values())
    sent = Contribution(len(part), update, {"loss": trained.loss}, {"clipped": np.array([cut])})
    dither = rng(7, "dither-train", 2, name).random(layout.parameters, dtype=np.float32)
    return encode(sent, layout, dither)


def _read(clients: Clients, shown: tuple[Array, Array]) -> set[int]:
    """Which training rows the quotients of neighbours' differences are."""
    weight, bias = shown
    apart = bias[:-1] - bias[1:]
    told = np.abs(apart) > 1e-12
    found = (weight[:-1] - weight[1:])[told] / apart[told, None]
    width = np.ptp(clients.x, axis=0)
    rows: set[int] = set()
    for guess in found:
        off = (np.abs(clients.trained - guess) / width).max(axis=1)
        if off.min() < NEAR:
            rows.add(int(off.argmin()))
    return rows


def lines(found: Sequence[Read]) -> list[tuple[str, str, str]]:
    """As text: the policy, rows of one sum, rows of all sums."""
    return [(r.policy, f"{r.one_sum} of {r.rows}", f"{r.all_sums} of {r.rows}") for r in found]
