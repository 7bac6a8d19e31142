"""FedAdam, FedYogi and FedAdagrad: Reddi et al. 2021, algorithm 2, by hand and against Flower."""

import numpy as np
import pytest
from flwr.app import Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedYogi

from calyx.flower.messages import as_task
from calyx.wire import records
from strategies.fedopt import FedOpt, FedOptServer


def server(optimizer, **other):
    values = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 0.001} | other
    return FedOptServer(optimizer=optimizer, **values)


def test_two_steps_of_adam_by_hand():
    algorithm = FedOpt(server("adam", lr=0.5, beta1=0.5, beta2=0.5, tau=1.0))
    weights = {"w": np.array([0.0], np.float32)}
    state = algorithm.initial_state(weights)
    assert (state["m"]["w"].tolist(), state["v"]["w"].tolist()) == ([0.0], [1.0])  # v starts at τ²
    weights, state = algorithm.step(weights, {"w": np.array([2.0])}, state)
    # m = 1, v = 0.5·1 + 0.5·4 = 2.5
    assert weights["w"][0] == pytest.approx(0.5 / (2.5**0.5 + 1))
    weights, state = algorithm.step(weights, {"w": np.array([-2.0])}, state)
    # m = 0.5·1 − 1 = −0.5, v = 0.5·2.5 + 2 = 3.25
    assert weights["w"][0] == pytest.approx(0.5 / (2.5**0.5 + 1) - 0.25 / (3.25**0.5 + 1))


def test_yogi_moves_v_by_a_bounded_amount_towards_the_square():
    algorithm = FedOpt(server("yogi", beta2=0.9, tau=2.0))
    weights = {"w": np.zeros(2, np.float32)}
    _, state = algorithm.step(
        weights, {"w": np.array([3.0, 1.0])}, algorithm.initial_state(weights)
    )
    assert state["v"]["w"].tolist() == pytest.approx([4 + 0.1 * 9, 4 - 0.1 * 1])


def test_adagrad_adds_up_the_squares():
    algorithm = FedOpt(server("adagrad", tau=1.0))
    weights = {"w": np.zeros(1, np.float32)}
    state = algorithm.initial_state(weights)
    for _ in range(3):
        weights, state = algorithm.step(weights, {"w": np.array([2.0])}, state)
    assert state["v"]["w"].tolist() == [13.0]


@pytest.mark.parametrize(
    ("name", "flower"), [("adagrad", FedAdagrad), ("yogi", FedYogi), ("adam", FedAdam)]
)
def test_three_rounds_agree_with_flowers_own_class(name, flower):
    as_task(1)
    rng = np.random.default_rng(0)
    start = {"w": rng.standard_normal(5).astype(np.float32)}
    moments = {} if name == "adagrad" else {"beta_1": 0.0, "beta_2": 0.99}
    theirs = flower(eta=0.1, eta_l=0.1, tau=0.001, **moments)
    start_state = FedOpt(server(name)).initial_state(start)
    # Flower starts v at 0, the paper asks for at least τ²: put both at one start.
    state = {"m": start_state["m"], "v": {"w": np.zeros(5)}}
    weights, their_weights = start, start
    for number in range(1, 4):
        # Flower's FedAdam folds a correction of the bias into η, the paper's algorithm has none.
        eta = 0.1 * (1 - 0.99 ** (number + 1)) ** 0.5 if name == "adam" else 0.1
        update = {"w": rng.standard_normal(5) * 0.1}
        weights, state = FedOpt(server(name, beta1=0.0, lr=eta)).step(weights, update, state)
        theirs.current_arrays = {"w": their_weights["w"].astype(np.float64)}
        mean = their_weights["w"].astype(np.float64) + update["w"]
        arrays, _ = theirs.aggregate_train(number, [_reply(mean)])
        assert arrays is not None
        their_weights = records.read_weights(arrays, start)
        np.testing.assert_allclose(weights["w"], their_weights["w"], atol=1e-5)
    assert abs(weights["w"] - start["w"]).max() > 0.01


def _reply(weights):
    arrays = records.weights_record({"w": weights})
    content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})})
    return Message(content, dst_node_id=2, message_type="train")
