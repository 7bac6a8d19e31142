"""What no gradient moves is averaged as it is, under every strategy; the step is for parameters.

The oracles are PyTorch's own optimiser for parameters, and means by hand for all else.
"""

import gc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord, Message
from flwr.serverapp import strategy as flowers

from calyx.composing.compose import compose, resolve
from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.flower.messages import as_nobody
from calyx.model.makeup import Makeup
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import terms_of
from calyx.wire import messages as wire
from calyx.wire import records
from strategies.algorithm import Algorithm, NoKeys
from strategies.base import AlgorithmStrategy, make_strategy
from strategies.fedbn import FedBNLocal
from strategies.fednova import TAU, FedNovaLocal
from strategies.flower import HOME
from strategies.local import Finished, LocalObjective, select_sent
from strategies.scaffold import ScaffoldLocal

START = {
    "w": np.float32([1.0, -2.0]),
    "norm.running_var": np.float32([1.0, 0.5]),
    "norm.num_batches_tracked": np.array(7),
    "mask": np.array([True, False]),
    "order": np.int32([1, 0]),
    "code": np.float32([0.25]),
}
MAKEUP = Makeup(START, frozenset({"w"}), frozenset({"norm.running_var"}))
# Three rounds of five groups: how far each has moved w, and its running variance.
WAYS = np.float32(
    [[[0.1 * g - 0.1 * r, 0.2] for g in range(5)] for r in range(3)],
)
VARIANCES = np.float32(
    [[[0.9 - 0.1 * g, 0.05 / (1 + r)] for g in range(5)] for r in range(3)],
)
COUNTS = (1, 2, 3, 4, 10)
OURS = ["fedavg", "fedavgm", "fedopt", "fednova", "scaffold", "fedprox", "ditto"]
ROBUST = ["median", "trimmed_mean", "krum", "multi_krum", "geometric_median"]
OPTIMISERS = ["FedAvg", "FedAvgM", "FedAdam", "FedYogi", "FedAdagrad", "QFedAvg"]
WEIGHING = ["FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum", "Bulyan"]


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """Flower collects garbage at each array that it reads; what is imported by now is none."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nobody():
    """Flower wants to know whose messages these are."""
    with as_nobody():
        yield


def made(words, beside=None):
    config = resolve(compose(["privacy=none", "privacy.groups=all", *words]))
    terms, privacy = terms_of(config), parse(PrivacyConfig, config["privacy"], "privacy")
    own, start = config["strategy"]["server"], START | (beside or {})
    return make_strategy(terms, own, privacy, start, MAKEUP, clients=5)


def stock(name, *more):
    target = ["strategy=flower", f"strategy.server._target_={HOME}.{name}", *more]
    if name == "QFedAvg":
        target.append("+strategy.server.client_learning_rate=0.5")
    return made(target)


def rounds(strategy, beside=None, number=3):
    """The weights after each round of the five groups' replies."""
    weights = START | (beside or {})
    grid = SimpleNamespace(get_node_ids=lambda: [1, 2, 3, 4, 5])
    for ways, variances in zip(WAYS[:number], VARIANCES, strict=False):
        arrays = records.weights_record(weights)
        messages = list(strategy.configure_train(1, arrays, ConfigRecord(), grid))
        assert all(set(wire.only_arrays(m.content)) == set(weights) for m in messages)
        replies = []
        for message, way, variance, count in zip(messages, ways, variances, COUNTS, strict=True):
            group = weights | {"w": weights["w"] + way, "norm.running_var": variance}
            metrics = {"train_loss": 1.0, TAU: 2.0}
            replies.append(Message(wire.group_content(group, count, metrics), reply_to=message))
        found, _ = strategy.aggregate_train(1, replies)
        weights = records.read_weights(found, weights)
        yield weights


def means(number):
    return np.average(VARIANCES[number].astype(float), axis=0, weights=COUNTS)


@pytest.mark.parametrize("name", [*OURS, *OPTIMISERS])
def test_statistics_are_the_mean_of_the_groups_whatever_the_server_does(name):
    words = [f"strategy={name}", *(["strategy.server.lr=2"] if name == "scaffold" else [])]
    beside = {"control/w": np.zeros(2, np.float32)} if name == "scaffold" else None
    strategy = made(words, beside) if name in OURS else stock(name)
    for number, weights in enumerate(rounds(strategy, beside)):
        np.testing.assert_allclose(weights["norm.running_var"], means(number), rtol=1e-6)
        for constant in ("norm.num_batches_tracked", "mask", "order", "code"):
            np.testing.assert_array_equal(weights[constant], START[constant])
            assert weights[constant].dtype == START[constant].dtype


@pytest.mark.parametrize("name", [*ROBUST, *WEIGHING])
def test_who_weighs_updates_makes_statistics_that_lie_between_the_groups_own(name):
    """A group that lies in its statistics must be outvoted there, too."""
    more = ["+strategy.server.num_malicious_nodes=0"] if name == "Bulyan" else []
    strategy = made([f"strategy={name}"]) if name in ROBUST else stock(name, *more)
    for number, weights in enumerate(rounds(strategy)):
        found, groups = weights["norm.running_var"], VARIANCES[number]
        assert (found >= groups.min(axis=0) - 1e-6).all()
        assert (found <= groups.max(axis=0) + 1e-6).all()
        for constant in ("norm.num_batches_tracked", "mask", "order", "code"):
            np.testing.assert_array_equal(weights[constant], START[constant])
    if "edian" in name and name != "geometric_median":
        assert found.tolist() == pytest.approx(np.median(groups, axis=0).tolist())


@pytest.mark.parametrize("name", ["fedavgm", "FedAvgM"])
def test_parameters_are_moved_as_pytorchs_momentum_would(name):
    if name == "fedavgm":
        strategy = made(["strategy=fedavgm", "strategy.server.lr=1", "strategy.server.beta=0.9"])
    else:
        strategy = stock(name, "+strategy.server.server_momentum=0.9")
    p = torch.tensor(START["w"].astype(float), requires_grad=True)
    theirs = torch.optim.SGD([p], lr=1.0, momentum=0.9)
    for number, weights in enumerate(rounds(strategy)):
        way = np.average(WAYS[number].astype(float), axis=0, weights=COUNTS)
        p.grad = -torch.from_numpy(way)
        theirs.step()
        np.testing.assert_allclose(weights["w"], p.detach().numpy(), rtol=1e-5)


def test_the_state_of_a_server_optimiser_is_of_parameters_only():
    assert set(made(["strategy=fedopt"]).state["m"]) == {"w"}
    strategy = stock("FedAdam")
    list(rounds(strategy))
    assert {n for key in strategy.state for n in strategy.state[key]} == {"000000 w"}


class Reshaping(flowers.FedAvg):
    """It cannot treat a tensor of two values."""

    def aggregate_train(self, server_round, replies):
        arrays, metrics = super().aggregate_train(server_round, replies)
        arrays["w"] = records.weights_record({"w": np.ones(3, np.float32)})["w"]
        return arrays, metrics


def test_a_strategy_that_cannot_treat_the_model_is_refused_before_the_start(monkeypatch):
    """It is tried with the user's own model; the sentence names strategy, tensor and way out."""
    monkeypatch.setattr(flowers, "Reshaping", Reshaping, raising=False)
    with pytest.raises(
        ConfigError, match=r"Reshaping cannot make a round of this task's model"
    ) as e:
        stock("Reshaping")
    assert "The tensor w is float32[3], not float32[2]" in str(e.value)
    assert "docs/strategies.md" in str(e.value)


def finished(**more):
    local = {k: v + np.asarray(2, v.dtype) if v.dtype.kind == "f" else v for k, v in START.items()}
    return Finished(START, local, {}, {}, clip=9.0, steps=4, lr=0.5, **more)


def test_a_client_divides_by_its_steps_what_it_stepped_and_nothing_else():
    sent = select_sent(FedNovaLocal(rho=0.0), MAKEUP, finished())
    assert {k: v.tolist() for k, v in sent.update.items()} == {
        "w": [0.5, 0.5],
        "norm.running_var": [2, 2],
        "code": [2],
    }
    assert sent.metrics == {TAU: 4}


def test_a_control_variate_is_of_parameters_only():
    objective = ScaffoldLocal()
    assert list(objective.beside(MAKEUP.parameters)) == ["control/w"]
    done = finished()
    done = Finished(**(vars(done) | {"beside": {"control/w": np.zeros(2, np.float32)}}))
    sent = select_sent(objective, MAKEUP, done)
    assert list(sent.update) == ["w", "norm.running_var", "code", "control/w"]
    assert list(sent.own) == ["w"]
    assert sent.own["w"].tolist() == [-1, -1]  # −2 in four steps of 0.5


def test_plain_training_sends_all_that_travels_in_the_models_order():
    sent = select_sent(LocalObjective(), MAKEUP, finished())
    assert list(sent.update) == [name for name, _ in MAKEUP.shapes]
    assert sent.own == {}


def test_what_stays_at_home_stays_with_its_counters():
    sent = select_sent(FedBNLocal(keep=("norm.*",)), MAKEUP, finished())
    assert list(sent.update) == ["w", "code"]
    assert set(sent.own) == {"norm.running_var", "norm.num_batches_tracked", "mask", "order"}


class Impure(Algorithm[NoKeys]):
    """Writes into what it is handed."""

    def __init__(self, target):
        super().__init__(NoKeys())
        self.target = target

    def initial_state(self, weights):
        return {"v": {"w": np.zeros(2)}}

    def step(self, weights, update, state):
        handed = weights["w"] if self.target == "weights" else state["v"]["w"]
        handed += 1
        return weights, state


@pytest.mark.parametrize("target", ["weights", "state"])
def test_a_step_cannot_change_what_a_checkpoint_is_written_of(target):
    with pytest.raises(ValueError, match="read-only"):
        list(rounds(AlgorithmStrategy(Impure(target), START, 5, MAKEUP), number=1))


def test_the_state_of_a_strategy_of_flowers_is_not_its_own_arrays():
    strategy = stock("FedAdam")
    list(rounds(strategy, number=1))
    before = strategy.state
    copied = {part: {k: v.copy() for k, v in arrays.items()} for part, arrays in before.items()}
    for arrays in vars(strategy._stock).values():
        for array in arrays.values() if isinstance(arrays, dict) else ():
            np.add(array, 1, out=array)
    assert any(copied.values())
    for part, arrays in copied.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(before[part][name], array)
