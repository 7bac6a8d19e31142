"""A strategy's objective sees the batch and the model: what the papers beyond a penalty need."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from support.training import EMPTY, config, flat, job, rows
from torch import nn
from torch.nn import functional

from calyx.data.schema import Part
from calyx.seeding import rng
from client.learning.training import train
from strategies.local import Batch, LocalObjective, Start


@dataclass(frozen=True)
class Adversarial(LocalObjective):
    """Goodfellow et al. 2015, eq. in §4: rows are moved by ε·sign(∇ₓ loss), and learned from there."""

    epsilon: float = 0.5

    def loss(self, batch, start):
        x = batch.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(batch.loss_of(batch.run(x)), x)
        return batch.loss_of(batch.run(batch.x + self.epsilon * gradient.sign()))


@dataclass(frozen=True)
class Distilled(LocalObjective):
    """Outputs stay near those of the global model: its softened outputs teach (Hinton et al. 2015)."""

    def loss(self, batch, start):
        with torch.no_grad():
            teacher = batch.run(batch.x, start.model)
        return batch.loss + divergence(batch.outputs, teacher)


def divergence(student, teacher):
    inputs = functional.log_softmax(student / 2, dim=1)
    return functional.kl_div(inputs, functional.softmax(teacher / 2, dim=1), reduction="batchmean")


def test_a_step_on_moved_rows_by_hand():
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    part = Part(np.array([[2.0]], np.float32), np.array([1.0], np.float32), 0)
    trained = train(
        net, part, Part(part.x[:0], part.y[:0], 0), job(config(epochs=1), Adversarial())
    )
    # ∇ₓ (wx − y)² = 2·(2 − 1)·1 > 0, so x moves to 2.5; ∇w there is 2·(2.5 − 1)·2.5 = 7.5.
    assert net.weight.item() == pytest.approx(1 - 0.1 * 7.5)
    assert trained.loss == pytest.approx(1.0)  # of the rows as they are


class Normed(nn.Module):
    """Its running statistics move with every batch that it sees in training mode."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x):
        return self.body(x)


def test_distillation_equals_a_loop_of_pytorchs_own_with_a_copied_teacher():
    ours, theirs, teacher, part = Normed(), Normed(), Normed(), rows(48)
    train(ours, part, EMPTY, job(config(), Distilled()))
    optimizer, shuffle = torch.optim.SGD(theirs.parameters(), 0.1), rng(1, "batches", 2, "a")
    for _ in range(3):
        order = torch.from_numpy(shuffle.permutation(48))
        x, y = torch.from_numpy(part.x)[order], torch.from_numpy(part.y)[order]
        for start in range(0, 48, 8):
            batch = x[start : start + 8]
            optimizer.zero_grad()
            outputs = theirs(batch)
            loss = functional.cross_entropy(outputs, y[start : start + 8])
            (loss + divergence(outputs, deepcopy(teacher)(batch).detach())).backward()
            optimizer.step()
    assert torch.equal(flat(ours), flat(theirs))
    moved = dict(theirs.named_buffers())
    assert all(torch.equal(buffer, moved[name]) for name, buffer in ours.named_buffers())
    plain = Normed()
    train(plain, part, EMPTY, job(config()))
    assert not torch.equal(flat(ours), flat(plain))


def test_a_model_in_bfloat16_is_run_so_by_an_objective_too():
    net = nn.Linear(3, 2)
    x, y = torch.ones(4, 3), torch.zeros(4, dtype=torch.int64)
    half = Batch(net, dict(net.named_parameters()), x, y, is_half=True)
    assert half.run(x, half.parameters).dtype == half.outputs.dtype == torch.bfloat16
    assert half.loss.dtype == torch.float32
    assert LocalObjective().loss(half, Start({})) is half.loss
