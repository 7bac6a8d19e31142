"""Local training: one loop, checked against PyTorch's own classes and by hand."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.training import EMPTY, config, flat, job, rows
from torch import nn
from torch.nn import functional

from calyx.data.schema import Part
from calyx.machine.hardware import Hardware
from calyx.model.evaluation import evaluate
from calyx.model.weights import weights_of
from calyx.seeding import rng
from client.learning.training import train
from strategies.ditto import PersonalObjective
from strategies.fedprox import FedProxLocal
from strategies.local import LocalObjective
from strategies.scaffold import ScaffoldLocal


def model(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4, 2))


def test_one_step_of_sgd_by_hand():
    net = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        net.weight.zero_()
    part = Part(np.array([[2.0]], np.float32), np.array([0]), 2)
    trained = train(net, part, Part(part.x[:0], part.y[:0], 2), job(config(epochs=1)))
    assert trained.loss == pytest.approx(math.log(2))
    # d loss / d w = (softmax − onehot)·x = (−0.5, 0.5)·2
    assert net.weight.detach().tolist() == [[pytest.approx(0.1)], [pytest.approx(-0.1)]]


OPTIMIZERS = [
    ({"optimizer": "sgd"}, lambda p: torch.optim.SGD(p, 0.1)),
    (
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    ),
    (
        {"optimizer": "adam", "weight_decay": 0.01},
        lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.01),
    ),
    (
        {"optimizer": "adamw", "weight_decay": 0.01},
        lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.01),
    ),
]


@pytest.mark.parametrize("size", [8, 50])
@pytest.mark.parametrize("kind", ["plain", "normed"])
@pytest.mark.parametrize(("keys", "make"), OPTIMIZERS)
def test_the_loop_equals_pytorchs_own_optimisers_bit_for_bit(keys, make, kind, size):
    (ours, theirs), part = (model() if kind == "plain" else Normed(0.0) for _ in "12"), rows(50)
    train(ours, part, EMPTY, job(config(batch_size=size, **keys)))
    optimizer, shuffle = make(theirs.parameters()), rng(1, "batches", 2, "a")
    for _ in range(3):
        order = torch.from_numpy(shuffle.permutation(50))
        x, y = torch.from_numpy(part.x)[order], torch.from_numpy(part.y)[order]
        for start in range(0, 50, size):
            optimizer.zero_grad()
            rows_of_batch = slice(start, start + size)
            functional.cross_entropy(theirs(x[rows_of_batch]), y[rows_of_batch]).backward()
            optimizer.step()
    assert torch.equal(flat(ours), flat(theirs))


def test_the_best_epochs_weights_are_restored():
    part, validation, losses, snapshots = rows(60), rows(30, seed=9), [], []
    for epochs in range(1, 7):
        net = model()
        train(net, part, EMPTY, job(config(epochs=epochs, lr=2.0)))
        losses.append(evaluate(net, validation, torch.device("cpu")).loss)
        snapshots.append(flat(net))
    net = model()
    trained = train(net, part, validation, job(config(epochs=6, lr=2.0)))
    best = int(np.argmin(losses))
    assert best < 5, "the test needs a run whose last epoch is not its best"
    assert trained.validation_loss == losses[best]
    assert torch.equal(flat(net), snapshots[best])


def test_training_stops_when_patience_epochs_brought_nothing_better():
    stuck = config(epochs=50, lr=1e-12, patience=3)
    assert train(model(), rows(60), rows(30, seed=9), job(stuck)).epochs <= 10
    few = train(model(), rows(60), rows(19), job(stuck))
    assert (few.epochs, few.validation_loss) == (50, None)


class Normed(nn.Module):
    """Layers that draw, and running statistics that no gradient moves."""

    def __init__(self, dropout=0.3):
        super().__init__()
        torch.manual_seed(0)
        drawing = nn.Dropout(dropout)
        self.body = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), drawing)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.body(x))


@pytest.mark.parametrize(
    "objective",
    [LocalObjective(), FedProxLocal(mu=0.5), ScaffoldLocal(), PersonalObjective(lam=0.5)],
    ids=lambda objective: type(objective).__name__,
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_epochs_that_hide_when_a_training_stops_change_nothing(objective, optimizer):
    start, ends = weights_of(Normed()), []
    beside = start | objective.beside({k: v for k, v in start.items() if v.dtype.kind == "f"})
    cfg = config(epochs=12, lr=0.5, patience=1, optimizer=optimizer)
    for hides in (False, True):
        net, epochs, validation = Normed(), [], rows(30, seed=9)
        asked = replace(job(cfg, objective), beside=beside, own={}, hides_stopping=hides)
        done = train(net, rows(60), validation, asked, epochs.append)
        ends.append((done, {k: v.tobytes() for k, v in weights_of(net).items()}))
        assert len(epochs) == (12 if hides else done.epochs)
        assert done.epochs < 12, "the test needs a training that stops early"
    assert ends[0] == ends[1]


def test_a_training_that_hides_when_it_stops_does_the_same_work_whatever_its_validation_rows(
    monkeypatch,
):
    """Copies of weights, too: of a large model they take as long as an epoch over few rows."""
    real, work = torch.Tensor.clone, []
    monkeypatch.setattr(torch.Tensor, "clone", lambda t: work.append("copy") or real(t))
    done = []
    for validation in (rows(60), Part(rows(60).x, 1 - rows(60).y, 2)):
        work.append([])
        asked = replace(job(config(epochs=9, patience=1, lr=0.3)), hides_stopping=True)
        trained = train(model(), rows(60), validation, asked, lambda _: work.append("epoch"))
        done.append((trained.epochs, work[work.index([]) + 1 :]))
        work.clear()
    assert done[0][0] > done[1][0]
    assert done[0][1] == done[1][1]


def test_a_client_and_a_round_have_their_own_randomness_and_nobody_elses():
    def after(seed, client, dropout=0.5):
        net = model(dropout=dropout)
        torch.manual_seed(seed)
        train(net, rows(60), EMPTY, job(config(), client=client))
        return flat(net)

    assert torch.equal(after(1, "a"), after(2, "a"))
    assert not torch.equal(after(1, "a"), after(1, "b"))


class Shaken(FedProxLocal):
    """Draws in its loss, and does not say so."""

    def loss(self, batch, start):
        return super().loss(batch, start) * random.random()


def test_an_objective_that_draws_is_seeded_though_the_model_draws_nothing():
    def after(seed, client):
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        nn.init.constant_(net[0].weight, 0.1), nn.init.constant_(net[2].weight, 0.1)
        nn.init.zeros_(net[0].bias), nn.init.zeros_(net[2].bias)
        random.seed(seed)
        train(net, rows(1), EMPTY, job(config(), Shaken(mu=1.0), client=client))
        return flat(net)

    assert torch.equal(after(1, "a"), after(2, "a"))
    assert not torch.equal(after(1, "a"), after(1, "b"))


class Noisy(nn.Module):
    """It draws in training and in evaluation, from generators that are not PyTorch's."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        noise = np.random.randn(*x.shape) + random.random()
        return self.head(x + torch.from_numpy(noise.astype(np.float32)))


def test_noise_of_numpy_and_of_random_repeats_as_pytorchs_does():
    def after(client):
        net = Noisy()
        nn.init.zeros_(net.head.weight), nn.init.zeros_(net.head.bias)
        trained = train(net, rows(60), rows(30, seed=9), job(config(), client=client))
        return flat(net), trained.validation_loss

    (one, loss), (again, same), (other, _) = after("a"), after("a"), after("b")
    assert torch.equal(one, again)
    assert loss == same
    assert not torch.equal(one, other)


def test_a_proximal_term_keeps_the_weights_near_the_start():
    distances = []
    for mu in (0.0, 1.0, 5.0):
        net = model()
        start = flat(net)
        train(net, rows(60), EMPTY, job(config(), FedProxLocal(mu=mu)))
        distances.append(float((flat(net) - start).norm()))
    assert distances[0] > distances[1] > distances[2] > 0


def test_bfloat16_trains_and_keeps_float32_weights():
    net = model()
    trained = train(
        net, rows(60), EMPTY, job(config(), hardware=Hardware("cpu", 1, "bfloat16", True))
    )
    assert math.isfinite(trained.loss)
    assert flat(net).dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device on this machine")
def test_a_gpu_trains_twice_to_the_same_bytes():
    nets = [model().cuda(), model().cuda()]
    for net in nets:
        train(net, rows(60), rows(30), job(config(), hardware=Hardware("cuda", 1, "float32", True)))
    assert torch.equal(flat(nets[0].cpu()), flat(nets[1].cpu()))
