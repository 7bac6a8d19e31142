"""FedProx, Li et al. 2020, eq. 2."""

import pytest
import torch

from calyx.config.section import parse
from calyx.errors import ConfigError
from strategies.fedprox import FedProxLocal
from strategies.local import Start


def test_the_penalty_is_half_mu_times_the_squared_distance():
    local = FedProxLocal(mu=0.5)
    start = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[0.0]])}
    parameters = {"a": torch.tensor([2.0, 0.0], requires_grad=True), "b": torch.tensor([[3.0]])}
    penalty = local.penalty(parameters, Start(start))
    assert penalty is not None
    assert penalty.item() == pytest.approx(0.25 * (1 + 4 + 9))
    penalty.backward()
    assert parameters["a"].grad is not None
    assert parameters["a"].grad.tolist() == [0.5, -1.0]  # μ (w − w_t)


def test_mu_zero_adds_nothing_so_that_it_is_fedavg():
    assert FedProxLocal(mu=0).penalty({}, Start({})) is None


def test_a_negative_mu_is_refused():
    with pytest.raises(ConfigError, match=r"strategy\.local\.mu is -1"):
        parse(FedProxLocal, {"mu": -1}, "strategy.local")
