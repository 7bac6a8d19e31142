"""FedAvg, McMahan et al. 2017, algorithm 1."""

import numpy as np

from strategies.algorithm import GroupUpdate, NoKeys
from strategies.fedavg import FedAvg


def test_the_new_weights_are_the_old_plus_the_mean_weighted_by_examples():
    algorithm = FedAvg(NoKeys())
    groups = [
        GroupUpdate({"w": np.array([1.0, 0.0])}, 1),
        GroupUpdate({"w": np.array([0.0, 4.0])}, 3),
    ]
    weights, state = algorithm.step(
        {"w": np.array([10, 10], np.float32)}, algorithm.combine(groups), {}
    )
    assert weights["w"].tolist() == [10.25, 13.0]
    assert state == {}


def test_integer_buffers_stay_as_they_are():
    weights = {"w": np.zeros(1, np.float32), "batches": np.array(7)}
    new, _ = FedAvg(NoKeys()).step(weights, {"w": np.array([1.0])}, {})
    assert new["batches"] == 7
    assert new["batches"].dtype == np.int64
