"""Robust strategies in whole runs: too few groups are refused, and bad clients are withstood."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.federation import Federation
from support.taps import Tap, run_server

from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError, RoundFailed
from calyx.simulation.planning import check_config, plan
from calyx.simulation.run import simulate
from client import reply

WIDE = ["privacy.clip=1.0"]  # so that two attackers have room
ALL = ["privacy=none", "privacy.groups=all", *WIDE]
REFUSED = [
    (
        ["strategy=krum", "privacy.groups=4", "task.num_clients=24"],
        "f=1 needs at least 5 groups and",
    ),
    (["strategy=krum", "strategy.server.f=4", *ALL], "f=4 needs at least 11 groups and has 10"),
    (["strategy=krum", "cohort_size=4", *ALL], "f=1 needs at least 5 groups and has 4"),
    (["strategy=multi_krum", "strategy.server.m=10", *ALL], "m=10 averages more than the 9 of 10"),
    (["strategy=trimmed_mean", "task.num_clients=2", *ALL], "beta=0.2 cuts 1 of 2 groups"),
    (["strategy=geometric_median", "task.num_clients=2", *ALL], "privacy.groups gives 2 groups"),
    (["strategy=median", "privacy=none", "privacy.groups=2"], "privacy.groups gives 2 groups"),
    (["strategy=krum"], "strategy=krum must see more than one update"),
]
ROBUST = [
    ["strategy=median"],
    ["strategy=trimmed_mean"],
    ["strategy=krum", "strategy.server.f=2"],
    ["strategy=multi_krum", "strategy.server.f=2"],
    ["strategy=geometric_median"],
]


@pytest.mark.parametrize(("overrides", "words"), REFUSED, ids=[o[0] for o, _ in REFUSED])
def test_too_few_groups_are_refused_when_the_config_is_loaded(overrides, words):
    with pytest.raises(ConfigError) as caught:
        check_config(resolve(compose(overrides)))
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_round_that_loses_too_many_groups_stops_the_run_which_can_be_resumed(tmp_path):
    federation = Federation(*ALL, "task.num_clients=5", "strategy=krum", "rounds=2")
    tap, trainings = Tap(federation.inner), set()

    def request(message):
        if message.metadata.message_type == "train":
            trainings.add(id(message.content))
        if len(trainings) == 2:
            tap.silent = {next(iter(federation.nodes.values()))}
        return message

    tap.request = request
    with pytest.raises(RoundFailed) as caught:
        run_server(federation, tap, tmp_path / "run")
    assert (
        "Round 2 has too few groups: strategy.server.f=1 needs at least 5 groups and has 4"
        in str(caught.value)
    )
    folder = run_server(federation, federation.inner, tmp_path / "run", resume=True)
    assert json.loads((folder / "summary.json").read_text())["rounds"] == 2


def accuracy(folder, *overrides):
    """On the test rows, after a run in this process."""
    small = ["task.alpha=10.0", "baselines=false", "engine.workers=0", "rounds=4"]
    checked = plan(resolve(compose([*small, *overrides])))
    simulate(checked, folder, resume=False, progress=lambda *_: None)
    return json.loads((folder / "summary.json").read_text())["test_accuracy"]


@pytest.fixture
def two_attackers(monkeypatch):
    """Two clients that send the largest update there is, with the greatest weight."""
    honest = reply.contribute

    def contribute(assignments, answers):
        if assignments[0].site.name in ("client-00", "client-01"):
            ((first, *others),) = answers
            update = {k: np.ones_like(v) for k, v in first.update.items()}
            answers = [(replace(first, num_examples=10**6, update=update), *others)]
        return honest(assignments, answers)

    monkeypatch.setattr(reply, "contribute", contribute)


def test_two_attackers_of_ten_spoil_the_mean(tmp_path, two_attackers):
    assert accuracy(tmp_path / "run", "strategy=fedavg", *ALL) < 0.3


@pytest.mark.parametrize("overrides", ROBUST, ids=[o[0] for o in ROBUST])
def test_a_robust_strategy_withstands_two_attackers_of_ten(tmp_path, two_attackers, overrides):
    assert accuracy(tmp_path / "run", *overrides, *ALL) > 0.6


def test_it_withstands_them_under_encryption_where_most_groups_are_clean(tmp_path, two_attackers):
    groups = ["task.num_clients=30", "privacy.groups=5", "rounds=3", *WIDE]
    trimmed = ["strategy=trimmed_mean", "strategy.server.beta=0.4"]
    assert accuracy(tmp_path / "mean", "strategy=fedavg", *groups) < 0.3
    assert accuracy(tmp_path / "trimmed", *trimmed, *groups) > 0.6
