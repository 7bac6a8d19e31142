"""FedAvgM, Hsu et al. 2019: v ← βv + Δ, w ← w − v."""

import numpy as np
import pytest
import torch

from calyx.config.section import parse
from calyx.errors import ConfigError
from strategies.algorithm import NoKeys
from strategies.fedavg import FedAvg
from strategies.fedavgm import FedAvgM, FedAvgMServer

START = {"w": np.array([1.0, -2.0], np.float32), "batches": np.array(7)}


def run(updates, **server):
    algorithm = FedAvgM(FedAvgMServer(**server))
    weights, state = START, algorithm.initial_state(START)
    for update in updates:
        weights, state = algorithm.step(weights, {"w": np.array(update)}, state)
    return weights


def test_two_rounds_by_hand():
    weights = run([[1.0, 0.0], [0.0, 4.0]], lr=1.0, beta=0.5)
    # v = (1, 0), then (0.5, 4); w = (1, −2) + (1, 0) + (0.5, 4)
    assert weights["w"].tolist() == [2.5, 2.0]
    assert weights["batches"] == 7


def test_it_is_sgd_with_momentum_on_the_pseudo_gradient():
    rng = np.random.default_rng(1)
    updates = rng.standard_normal((6, 2))
    parameter = torch.tensor(START["w"].astype(float), requires_grad=True)
    theirs = torch.optim.SGD([parameter], lr=0.3, momentum=0.9)
    for update in updates:
        parameter.grad = -torch.from_numpy(update)
        theirs.step()
    ours = run(updates, lr=0.3, beta=0.9)
    np.testing.assert_allclose(ours["w"], parameter.detach().numpy(), rtol=1e-5)


def test_without_momentum_and_with_lr_one_it_is_fedavg():
    update = {"w": np.array([0.25, 0.5])}
    fedavg, _ = FedAvg(NoKeys()).step(START, update, {})
    assert run([update["w"]], lr=1.0, beta=0.0)["w"].tolist() == fedavg["w"].tolist()


@pytest.mark.parametrize(("key", "value"), [("beta", 1.0), ("beta", -0.1), ("lr", 0.0)])
def test_a_value_out_of_range_is_refused(key, value):
    with pytest.raises(ConfigError, match=rf"strategy\.server\.{key} is {value}"):
        parse(FedAvgMServer, {"lr": 1.0, "beta": 0.9} | {key: value}, "strategy.server")
