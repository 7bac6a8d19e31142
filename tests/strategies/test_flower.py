"""Flower's own strategies, unchanged: which run, which are refused, and what a resume keeps."""

import gc
import json

import numpy as np
import pytest
from flwr.serverapp import strategy as flowers
from support.federation import Federation
from support.taps import Tap, run_server, stage_of

from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError, RoundFailed
from calyx.flower import messages as flower
from calyx.model.makeup import Makeup
from calyx.simulation.planning import check_config
from strategies.flower import (
    HOME,
    ON_GROUPS,
    ON_SUMS,
    REFUSED,
    StockStrategy,
    check_stock,
    make_stock,
    works_on_sums,
)

SMALL = ("rounds=2", "task.num_clients=6", "strategy=flower")
ARGUMENTS = {
    "Bulyan": {"num_malicious_nodes": 0},
    "FedAvgM": {"server_momentum": 0.5},
    "QFedAvg": {"client_learning_rate": 0.5},
}


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """Flower collects garbage at each array that it reads; what is imported by now is none.

    Beside PyTorch a collection takes 0.2 s, and thirty of them were most of a test.
    """
    gc.collect()
    gc.freeze()


def section(name):
    return {"_target_": f"{HOME}.{name}", **ARGUMENTS.get(name, {})}


def overrides(name):
    values = [f"+strategy.server.{k}={v}" for k, v in ARGUMENTS.get(name, {}).items()]
    return (*SMALL, f"strategy.server._target_={HOME}.{name}", *values)


MAKEUP = Makeup({"w": np.zeros(2, np.float32)}, frozenset({"w"}))


class Died(BaseException):
    """kill -9 of the server."""


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_every_class_of_flowers_is_sorted():
    classes = set(flowers.__all__) - {"Strategy", "Result"}
    assert classes == ON_SUMS | ON_GROUPS | REFUSED.keys()


@pytest.mark.parametrize("name", sorted(ON_SUMS))
def test_it_runs_encrypted_on_one_group(tmp_path, name):
    made = Federation(*overrides(name), "privacy=secagg")
    assert summary(run_server(made, made.inner, tmp_path / "run"))["rounds"] == 2


@pytest.mark.parametrize("name", sorted(ON_GROUPS))
def test_who_weighs_single_updates_runs_on_groups_and_is_refused_on_one(tmp_path, name):
    made = Federation(*overrides(name), "privacy.groups=all")
    assert summary(run_server(made, made.inner, tmp_path / "run"))["rounds"] == 2
    with pytest.raises(ConfigError, match=f"{name} must see more than one update"):
        Federation(*overrides(name))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_used_is_refused_with_a_reason(name):
    with pytest.raises(ConfigError, match=f"{name} cannot be used: it") as caught:
        Federation(*overrides(name))
    assert "\n" not in str(caught.value)


def test_clients_never_learn_its_name():
    made = Federation(*overrides("FedAdam"))
    assert made.plan.run.strategy.server["_target_"].endswith("FedAdam")
    assert "FedAdam" not in repr(made.plan.terms)


@pytest.mark.parametrize("name", ["FedAdam", "FedYogi", "FedAdagrad", "FedAvgM"])
def test_its_optimiser_survives_a_resume(tmp_path, name):
    whole = Federation(*overrides(name))
    wanted = summary(run_server(whole, whole.inner, tmp_path / "whole"))
    again = Federation(*overrides(name))
    tap, seen = Tap(again.inner), []

    def reply(message, answer):
        if stage_of(message) == 0 and message.content not in seen:
            seen.append(message.content)
        if len(seen) == 2:
            raise Died
        return answer

    tap.reply = reply
    with pytest.raises(Died):
        run_server(again, tap, tmp_path / "again")
    run_server(again, again.inner, tmp_path / "again", resume=True)
    assert summary(tmp_path / "again")["model_sha256"] == wanted["model_sha256"]


class Counting(flowers.FedAvg):
    """A user's own, which keeps what no checkpoint holds."""

    def __init__(self, *, start: int = 0, **others):
        super().__init__(**others)
        self.seen = [start]

    def aggregate_train(self, server_round, replies):
        self.seen.append("round")
        return super().aggregate_train(server_round, replies)


def test_what_cannot_be_saved_forbids_a_resume():
    strategy = StockStrategy(Counting(), MAKEUP)
    assert strategy.state == {}
    strategy.aggregate_train(1, [])
    assert list(strategy.state) == ["unsaved:seen"]
    with pytest.raises(ConfigError, match="Counting keeps seen between rounds"):
        StockStrategy(Counting(), MAKEUP).state = strategy.state


def test_arrays_come_back_in_the_form_that_they_had():
    stock = make_stock(section("FedAdam"))
    stock.m_t, stock.v_t = {"w": np.ones(2)}, {"w": np.zeros((1, 2))}
    stock.momentum = [np.arange(3.0), np.ones(1)]
    again = make_stock(section("FedAdam"))
    wrapped = StockStrategy(again, MAKEUP)
    wrapped.state = StockStrategy(stock, MAKEUP).state
    assert again.m_t["w"].tolist() == [1, 1]
    assert again.v_t["w"].shape == (1, 2)
    assert [a.tolist() for a in again.momentum] == [[0, 1, 2], [1]]


def test_an_unknown_class_counts_as_needing_single_updates():
    assert not works_on_sums(Counting())
    assert works_on_sums(make_stock(section("FedAvg")))


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({}, "needs strategy.server._target_"),
        ({"_target_": 3}, "needs strategy.server._target_"),
        ({"_target_": "FedAdam"}, "needs strategy.server._target_"),
        ({"_target_": f"{HOME}.FedNothing"}, "There is no flwr.serverapp.strategy.FedNothing"),
        ({"_target_": "no.such.module"}, "There is no no.such.module"),
        ({"_target_": "..x"}, "There is no ..x"),
        ({"_target_": "os.system"}, "is no strategy"),
        ({"_target_": f"{HOME}.Strategy"}, "is no strategy"),
        (section("FedAdam") | {"etaa": 1}, "unexpected keyword argument 'etaa'; it takes .*eta"),
        (section("FedAdam") | {"fraction_train": 0.5}, "fraction_train has no effect here"),
        ({"_target_": f"{HOME}.QFedAvg"}, "missing a required argument: 'client_learning_rate'"),
        (section("FedTrimmedAvg") | {"beta": 0.7}, r"range \[0, 0.5\); it takes beta"),
        (
            section("FedAdam") | {"eta": "abc"},
            r'server.eta is "abc", but FedAdam takes a .* number',
        ),
        (section("FedAdam") | {"beta_1": True}, "beta_1 is true, but FedAdam takes a .* number"),
        (section("FedAdam") | {"eta": None}, "eta is null, but FedAdam takes a .* number"),
        (section("FedAvgM") | {"server_momentum": "x"}, "server_momentum is .* number"),
        (section("Krum") | {"num_malicious_nodes": 1.5}, "num_malicious_nodes is 1.5, .* integer"),
        (section("FedAvg") | {"train_metrics_aggr_fn": "foo"}, "aggr_fn is a function"),
        (section("Bulyan") | {"selection_rule": "foo"}, "selection_rule is a function"),
        (section("FedAvg") | {"weighted_by_key": "foo"}, "by_key names what travels"),
        (section("FedAvg") | {"arrayrecord_key": "foo"}, "record_key names what travels"),
        (section("QFedAvg") | {"train_loss_key": "foo"}, "loss_key names what travels"),
    ],
)
def test_arguments_that_are_wrong_are_one_sentence(server, words):
    with pytest.raises(ConfigError, match=words) as caught:
        make_stock(server)
    assert "\n" not in str(caught.value)


class Strict(Counting):
    """Of a user's own, with a base's arguments behind `**others`, and one of no JSON type."""

    def __init__(self, *, rule: flowers.Strategy | None = None, **others):
        super().__init__(**others)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"start": "soon"}, 'start is "soon", but Strict takes a valid integer'),
        ({"rule": "median"}, "but Strict takes an instance of Strategy"),
        ({"weighted_by_key": "x"}, "names what travels"),
    ],
)
def test_arguments_of_a_class_of_ones_own_are_checked_too(monkeypatch, given, words):
    monkeypatch.setattr(flowers, "Strict", Strict, raising=False)
    assert make_stock({"_target_": f"{HOME}.Strict", "start": 3}).seen == [3]
    with pytest.raises(ConfigError, match=words):
        make_stock({"_target_": f"{HOME}.Strict", **given})


ALL = ["privacy=none", "privacy.groups=all"]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        (
            "Bulyan",
            {"num_malicious_nodes": 1},
            "=1 of Bulyan needs at least 7 groups and has 6; use",
        ),
        (
            "Krum",
            {"num_malicious_nodes": 10},
            "=10 of Krum needs at least 23 groups and has 6; use",
        ),
        ("MultiKrum", {"num_malicious_nodes": 2}, "at least 7 groups and has 6"),
        ("Krum", {"num_malicious_nodes": -1}, "num_malicious_nodes is -1, but must be 0 or more"),
        ("MultiKrum", {"num_nodes_to_select": 0}, "select=0 must be from 1 to the 6 of 6 groups"),
        (
            "QFedAvg",
            {"client_learning_rate": 0.0},
            "QFedAvg cannot make a round .* division by zero",
        ),
    ],
)
def test_what_no_round_can_be_made_with_is_refused_when_the_config_is_loaded(name, given, words):
    target = f"strategy.server._target_={HOME}.{name}"
    values = [f"+strategy.server.{k}={v}" for k, v in given.items()]
    config = resolve(compose(["task.num_clients=6", "strategy=flower", target, *values, *ALL]))
    with pytest.raises(ConfigError, match=words) as caught:
        check_config(config)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_value_that_overflows_is_found_by_one_round_and_leaves_no_trace(caplog):
    names = ("_run_id", "_node_id", "_task_id")
    before = [getattr(flower.TaskIdentity, name) for name in names]
    with pytest.raises(ConfigError, match="it makes no finite model"):
        check_stock(section("FedAdam") | {"eta": 1e39}, 1)
    check_stock(section("FedAdam"), 1)
    assert [getattr(flower.TaskIdentity, name) for name in names] == before
    assert caplog.text == ""


def test_a_round_that_loses_too_many_groups_stops_a_stock_strategy_too(tmp_path):
    more = ("+strategy.server.num_malicious_nodes=1", "retries=0", "privacy.groups=all")
    made = Federation(*SMALL, f"strategy.server._target_={HOME}.Krum", *more, "task.num_clients=5")
    tap = Tap(made.inner)

    def request(message):
        if message.metadata.message_type == "train":
            tap.silent = {next(iter(made.nodes.values()))}
        return message

    tap.request = request
    with pytest.raises(RoundFailed, match="of Krum needs at least 5 groups and has 4"):
        run_server(made, tap, tmp_path / "run")
