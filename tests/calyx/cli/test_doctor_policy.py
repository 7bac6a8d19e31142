"""`calyx doctor site`, of the policy: a tick means that it was compared, and a note what it risks."""

import dataclasses
import json

import pytest

from calyx.cli.doctor_policy import policy_checks
from calyx.cli.site_file import task_template
from calyx.config.section import parse
from client.gate.policy import PolicyConfig

LOOSER = {
    "n_min": (4, "n_min is 4, and 5 in the template"),
    "h_min": (2, "h_min is 2, and 3 in the template"),
    "max_colluders": (0, "max_colluders is 0, and null in the template"),
    "sampling": ("trusted", "sampling is trusted, and adversarial in the template"),
    "runs_a_day": (13, "runs_a_day is 13, and 12 in the template"),
    "sums_a_day": (None, "sums_a_day is null, and 1000 in the template"),
    "joins_a_day": (None, "first met in their middle"),
    "failures_a_day": (None, "tells the server a bit of them"),
    "unfinished_a_day": (None, "unfinished_a_day is null, and 100 in the template"),
    "pace_s": (0, "time would tell of rows"),
    "leave_one_out": (True, "meant for this site alone"),
    "min_cell": (1, "smaller ones tell of single rows"),
    "training.*": ("any", "training.lr is any, and {min: 0.001, max: 0.2} in the template"),
    "training.epochs": ({"max": 11}, "training.epochs is {max: 11}, and {min: 1, max: 10}"),
    "training.optimizer": (["adamw"], "adamw moves weights that no row has moved"),
    "strategy.local.mu": ("any", "strategy.local.mu is any, and {min: 0, max: 10}"),
    "task.name": (["csv", "heart"], "n_min is 4"),
}
STRICTER = {
    "n_min": 6,
    "max_colluders": 2,
    "joins_a_day": 1,
    "pace_s": 3,
    "statistics": [],
    "training.epochs": {"max": 10},  # below 1 there is nothing
    "training.optimizer": ["sgd"],
    "privacy.n_max": [64, 128],
}


def changed_policy(values):
    """The template of csv with these, those with a point among its bounds."""
    policy = json.loads(json.dumps(dataclasses.asdict(task_template("csv").policy)))
    bounds = {key: value for key, value in values.items() if "." in key}
    policy |= {key: value for key, value in values.items() if "." not in key}
    if "training.*" in bounds:  # as deploy.md had it once
        policy["bounds"] = {k: v for k, v in policy["bounds"].items() if k[:9] != "training."}
    return parse(PolicyConfig, policy | {"bounds": policy["bounds"] | bounds}, "client.policy")


def rows_of(values):
    return [f"{r.state} {r.found} {r.mend}" for r in policy_checks(changed_policy(values), 6)]


@pytest.mark.parametrize("key", LOOSER)
def test_each_value_that_is_looser_than_the_template_is_told_with_what_it_risks(key):
    value, words = LOOSER[key]
    values = {key: value} | ({"n_min": 4} if key == "task.name" else {})
    first, *others = rows_of(values)
    if key == "task.name":  # four is what heart's template has
        assert (first.split()[0], others) == ("ok", [])
        return
    assert "looser than in the template of task=csv" in first
    assert any(words in row for row in others), others
    assert all(row.startswith("note") for row in (first, *others))


def test_a_policy_that_is_stricter_than_the_template_has_a_tick_for_the_comparison():
    (row,) = rows_of(STRICTER)
    assert row.startswith("ok")
    assert "nothing is looser than in the template of task=csv" in row
