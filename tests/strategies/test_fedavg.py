"""FedAvg, McMahan et al. 2017, algorithm 1."""

import numpy as np
import pytest

from strategies.algorithm import GroupUpdate, NoKeys, add_in_order
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


@pytest.mark.parametrize("groups", [1, 2, 7, 8, 9, 100, 200])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2,), (1, 3), (3, 1), (5, 7), (130,)])
def test_one_array_after_another_is_numpys_sum_of_a_stack_to_the_byte(groups, shape):
    rng = np.random.default_rng(groups)
    arrays = [np.asarray(rng.standard_normal(shape)) for _ in range(groups)]
    oracle = np.sum(arrays, axis=0)
    assert np.asarray(add_in_order(array * 1.0 for array in arrays)).tobytes() == oracle.tobytes()
