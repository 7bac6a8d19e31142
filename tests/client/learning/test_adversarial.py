"""Adversarial rows in a local training: any strategy's, the same loop, and nothing of it by default."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.training import CPU, EMPTY, config, flat, job, rows
from torch import nn
from torch.nn import functional

from calyx.data.schema import Part
from calyx.model.attack_config import AdversarialConfig
from calyx.model.makeup import makeup_of
from calyx.preprocessing.room import Room
from calyx.seeding import rng
from client.learning.cohort import find_obstacle
from client.learning.dense import read_stack
from client.learning.training import train
from strategies.ditto import DittoLocal
from strategies.fedprox import FedProxLocal
from strategies.local import LocalObjective

FGSM = AdversarialConfig(method="fgsm", epsilon=0.5, steps=1, step_size=0.5, share=1.0)
PGD = AdversarialConfig(method="pgd", epsilon=0.5, steps=3, step_size=0.3, share=1.0)
PLAIN = LocalObjective()


def room(inputs, reach):
    ends = np.full(inputs, reach, np.float32)
    return Room(-ends, ends, np.full((inputs, 2), inputs))


def network():
    torch.manual_seed(0)
    layers = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)
    return nn.Sequential(*layers)


def trained(objective, reach=9.0, **other):
    net = network()
    train(net, rows(48), EMPTY, replace(job(config(**other), objective), room=room(3, reach)))
    return net


def test_a_step_on_moved_rows_by_hand():
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    part = Part(np.array([[2.0]], np.float32), np.array([1.0], np.float32), 0)
    own = replace(job(config(epochs=1), LocalObjective(adversarial=FGSM)), room=room(1, 9.0))
    done = train(net, part, Part(part.x[:0], part.y[:0], 0), own)
    # ∇ₓ (wx − y)² = 2·(2 − 1)·1 > 0, so x moves to 2.5; ∇w there is 2·(2.5 − 1)·2.5 = 7.5.
    assert net.weight.item() == pytest.approx(1 - 0.1 * 7.5)
    assert done.loss == pytest.approx(1.5**2)  # of the rows as they were moved


def test_a_share_of_each_batch_is_moved_against_the_model_as_it_is_used():
    theirs, part = network(), rows(48)
    optimizer, shuffle = torch.optim.SGD(theirs.parameters(), 0.1), rng(1, "batches", 2, "a")
    for _ in range(3):
        order = torch.from_numpy(shuffle.permutation(48))
        x, y = torch.from_numpy(part.x)[order], torch.from_numpy(part.y)[order]
        for start in range(0, 48, 8):
            batch, labels = x[start : start + 8].clone(), y[start : start + 8]
            theirs.eval()
            some = batch[:3].requires_grad_()  # 0.3 of 8 rows, rounded up
            functional.cross_entropy(theirs(some), labels[:3], reduction="sum").backward()
            moved = torch.cat([batch[:3] + 0.5 * some.grad.sign(), batch[3:]]).detach()
            theirs.train()
            optimizer.zero_grad()
            functional.cross_entropy(theirs(moved), labels).backward()
            optimizer.step()
    ours = trained(LocalObjective(adversarial=replace(FGSM, share=0.3)))
    assert torch.allclose(flat(ours), flat(theirs), atol=1e-6)
    means = dict(theirs.named_buffers())
    assert all(torch.allclose(v, means[k], atol=1e-6) for k, v in ours.named_buffers())


def test_rows_without_room_are_trained_on_as_they_are_to_the_byte():
    still = trained(LocalObjective(adversarial=PGD), reach=0.0)
    assert torch.equal(flat(still), flat(trained(PLAIN)))
    assert not torch.equal(flat(trained(LocalObjective(adversarial=PGD))), flat(still))


def test_it_is_in_the_loss_of_any_strategy_and_beside_its_penalty():
    ours = flat(trained(LocalObjective(adversarial=PGD)))
    assert torch.equal(flat(trained(FedProxLocal(mu=0.0, adversarial=PGD))), ours)
    held = flat(trained(FedProxLocal(mu=5.0, adversarial=PGD)))
    start = flat(network())
    assert float((held - start).norm()) < float((ours - start).norm())


def test_it_follows_from_seed_round_and_client():
    one = flat(trained(LocalObjective(adversarial=PGD)))
    assert torch.equal(flat(trained(LocalObjective(adversarial=PGD))), one)


def test_clients_that_move_rows_are_trained_one_by_one():
    net = nn.Linear(3, 2)
    objective = DittoLocal(lam=0.1, adversarial=FGSM)
    why = find_obstacle(config(), objective, makeup_of(net, 3), read_stack(net), CPU)
    assert why.startswith("strategy.local.adversarial moves")
