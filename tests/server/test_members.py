"""Groups that stay as they were dealt, whoever is there; and sites that come and go."""

import json
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.federation import Federation, config_of
from support.flows import ALL, SEVEN, SMALL, down
from support.run_folders import round_of
from support.sites import Sites
from support.taps import Tap, run_server

from calyx.errors import ConfigError, RoundFailed
from calyx.files.plain import read_lines
from calyx.run.folder import RunFolder
from client.gate import ledger, memory
from server.app import _with_members
from server.checkpoints import RunState, load_newest
from server.config import read_run
from server.crossvalidation import check_unseen, number_folds
from server.sampling import deal_members

LOCAL = "preprocessing=local"  # with an audit or without one
GROUPS = ("task.num_clients=10", "privacy.groups=2", *SMALL, LOCAL, "rounds=1")


@pytest.fixture(autouse=True)
def fresh_memory():
    yield
    memory._open.clear()
    ledger.open_ledger.cache_clear()


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def events(folder, name):
    return [row for row in read_lines(folder / "events.jsonl") if row["event"] == name]


def orders_of(tap):
    """Of each exchange that went through, once, in their order."""
    texts = [content["order"]["order"] for stage, _, content in tap.sent if stage == 0]
    return [json.loads(text) for text in dict.fromkeys(texts)]


def test_a_site_that_is_away_moves_nobody_to_another_group_or_round(tmp_path, monkeypatch):
    """Away before the first round: the bytes of a run in which all were there, on another engine.

    Away in a later one: the others stay in their groups, and it comes back into its own. It has not
    said how many rows it has, and is there or not: a client's largest weight stays what it was.
    """
    monkeypatch.setattr(
        "client.learning.measurement.local_findings", lambda *_: []
    )  # a second a site
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "kept"))
    sites, run = Sites(tmp_path, *GROUPS), tmp_path / "run"
    with pytest.raises(ConfigError, match="min_replies=10 is more than the 9 clients"):
        run_server(sites, sites.without("client-09"), run, min_replies=10, **ALL)
    grid = Tap(sites.inner)
    down((0,), ("statistics",))(grid, sites)
    run_server(sites, grid, run, resume=True, **ALL)
    whole = Federation("privacy=secagg", *GROUPS)
    run_server(whole, whole.inner, tmp_path / "whole")
    assert summary(run)["model_sha256"] == summary(tmp_path / "whole")["model_sha256"]

    members = deal_members(list(sites.nodes), 2, seed=1)
    away = [[name for name in group if name != "client-09"] for group in members]
    for rounds, grid, groups in (
        (2, sites.without("client-09"), away),
        (3, Tap(sites.inner), [list(group) for group in members]),
    ):
        run_server(sites, grid, run, resume=True, rounds=rounds, **ALL)
        orders = orders_of(grid)
        assert [order["groups"] for order in orders] == [groups] * len(orders)
        assert {json.dumps(o["members"]) for o in orders} == {json.dumps(members)}
        assert {order["terms"]["w_max"] for order in orders} == {2**20}
    assert [row["replies"] for row in read_lines(run / "rounds.jsonl")] == [10, 9, 10]


def test_a_run_goes_on_without_a_group_of_which_nobody_is_there_and_says_so(tmp_path):
    sites, run = Sites(tmp_path, *GROUPS), tmp_path / "run"
    others, group = deal_members(list(sites.nodes), 2, seed=1)
    run_server(sites, sites.without(*group), run, min_replies=5)
    (event,) = events(run, "group-too-small")
    assert event["message"].endswith(
        f"it has nobody, and lacks {', '.join(group[:4])} and {group[4]}."
    )
    assert "a group's 5 clients" in events(run, "privacy")[0]["message"]
    assert read_lines(run / "rounds.jsonl")[0]["cohort"] == list(others)


def test_a_site_that_is_down_in_each_third_round_ends_nobodys_run(tmp_path):
    sites = Sites(tmp_path, SEVEN, "rounds=4")
    tap = Tap(sites.inner)
    down((3,))(tap, sites)
    run_server(sites, tap, tmp_path / "run")
    rows = read_lines(tmp_path / "run" / "rounds.jsonl")
    assert [row["dropped"] for row in rows] == [[], [], ["client-06"], []]


def test_who_comes_after_the_groups_were_dealt_is_in_none_and_an_older_run_deals_them(tmp_path):
    folder, names = RunFolder(tmp_path), list("abcd")
    run = read_run(deepcopy(config_of("privacy.groups=2")))
    weights = {"a": np.zeros(1, np.float32)}
    state = RunState(
        "run", "digest", 1, weights, {}, None, members=deal_members(names, 2, run.seed)
    )
    assert _with_members(folder, run, state, [*names, "late"]) == state
    assert events(tmp_path, "no-group")[0]["message"].startswith("late came after the groups")
    old = _with_members(folder, run, replace(state, members=None), names)
    assert old.members == load_newest(folder.checkpoints)[0].members == state.members
    assert len(events(tmp_path, "groups-dealt")) == 1


def test_folds_of_clients_keep_their_numbers_whoever_is_away():
    nodes, roster = {"a": 1, "c": 2}, SimpleNamespace(indices={"a": 0, "b": 1, "c": 2})
    assert number_folds(SimpleNamespace(nodes=nodes, roster=roster)) == {0: "a", 2: "c"}
    assert number_folds(SimpleNamespace(nodes=nodes, roster=None)) == {0: "a", 1: "c"}


def test_nobody_is_judged_by_a_model_that_has_seen_its_rows():
    rows = [round_of(1, cohort=["a", "c"])]
    check_unseen("b", rows)
    check_unseen("", rows)
    with pytest.raises(RoundFailed, match="c would be judged by a model that it has trained"):
        check_unseen("c", rows)
