"""Ditto, Li et al. 2021, eq. 1: λ draws the personal model towards the global one."""

import pytest
import torch

from strategies.ditto import DittoLocal
from strategies.local import LocalObjective, Start

# One dimension: the client's loss is (v − 3)²/2, the global model is w = 1.
W = {"w": torch.tensor([1.0])}


def minimum(lam):
    objective, v = DittoLocal(lam=lam).personal(), torch.tensor([0.0], requires_grad=True)
    for _ in range(400):
        loss = ((v - 3) ** 2 / 2).sum()
        penalty = objective.penalty({"w": v}, Start({}, W))
        (gradient,) = torch.autograd.grad(loss if penalty is None else loss + penalty, v)
        v = (v - 0.05 * gradient).detach().requires_grad_()
    return v.item()


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0, 9.0])
def test_the_personal_model_minimises_the_papers_objective(lam):
    assert minimum(lam) == pytest.approx((3 + lam * 1) / (1 + lam), abs=1e-4)


def test_the_global_model_is_trained_plainly():
    assert DittoLocal(lam=1.0).penalty({"w": W["w"]}, Start(W)) is None
    assert LocalObjective().personal() is None
