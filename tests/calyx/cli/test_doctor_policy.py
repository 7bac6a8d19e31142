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
    "joins_a_day": (None, "come from; null also lets a cross-validation be scored of which"),
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
    "questions": ["train", "evaluate"],
    "statistics": [],
    "training.epochs": {"max": 10},  # below 1 there is nothing
    "training.optimizer": ["sgd"],
    "privacy.n_max": [64, 128],
}


def changed_policy(values):
    """The template of csv with these, those that are no keys of a policy among its bounds."""
    policy = json.loads(json.dumps(dataclasses.asdict(task_template("csv").policy)))
    bounds = {key: value for key, value in values.items() if key not in policy}
    policy |= {key: value for key, value in values.items() if key in policy}
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


# What of each refuses every order of six sites, of which one may collude: by hand, of docs/secagg.md
# §4 (n ≥ max(⌊(n + C)/2⌋ + 1, n_min, C + h_min)) and §12 (deadline_s ≥ 3 × pace_s).
CLOSED = {
    "pace_s": (
        5000,
        "pace_s is 5000",
        "bounds.deadline_s is {min: 10, max: 3600}",
        "pace_s to 1200",
    ),
    "deadline_s": ([5], "pace_s is 2", "bounds.deadline_s is [5]", "reach 6"),
    "n_min": (7, "n_min is 7, and the roster has 6", "lower n_min"),
    "h_min": (6, "h_min is 6, beside 1 that may collude: a sum needs 7 sites", "lower h_min"),
    "max_colluders": (4, "beside 4 that may collude: a sum needs 7 sites", "or max_colluders"),
    "privacy.n_min": ({"max": 4}, "n_min is 5, and no order may ask for that", "{max: 4}"),
    "privacy.h_min": ([2], "h_min is 3, and no order may ask for that", "[2]"),
    "privacy.max_colluders": ([0], "max_colluders is 1, and no order may", "[0]"),
    "privacy.name": (["none"], "privacy is secagg, and no order may ask for that", "[none]"),
    "privacy.sampling": (["trusted"], "sampling is adversarial, and no order may", "[trusted]"),
    "privacy.groups": (["all"], "encrypted sums have a number of groups", "allow 1"),
    "privacy.n_max": ({"max": 4}, "has no room for so many", "let privacy.n_max reach 5"),
    "cohort_size": ({"max": 4}, "a sum needs 5 sites", "allow null there"),
}


@pytest.mark.parametrize("key", CLOSED)
def test_a_value_that_leaves_no_order_is_a_problem_with_its_cure(key):
    value, *words = CLOSED[key]
    (row,) = [row for row in rows_of({key: value}) if row.startswith("problem")]
    for word in words:
        assert word in row


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"privacy.groups": {"min": 2}}, "2 groups of 5 sites are more than the 6"),
        ({"cohort_size": {"min": 7}}, "the roster has 6 sites"),
        ({"privacy.n_min": {"min": 7}}, "bounds.privacy.n_min is 7, and the roster has 6"),
        ({"privacy.max_colluders": [4]}, "beside 4 that may collude: a sum needs 7 sites"),
        ({"sampling": "trusted", "h_min": 6}, "beside 1 that may collude: a sum needs 7 sites"),
    ],
)
def test_what_the_roster_has_no_sites_for_is_a_problem(values, words):
    assert any(row.startswith("problem") and words in row for row in rows_of(values))


def test_a_key_of_every_order_that_no_bound_covers_is_a_problem_with_the_templates_line():
    """A file of before orders had that key: it refuses every run."""
    policy = changed_policy({})
    bounds = {k: v for k, v in policy.bounds.items() if k not in ("cohort_size", "cv.k")}
    first, *_ = policy_checks(dataclasses.replace(policy, bounds=bounds), 6)
    assert (first.state, first.found[:30]) == ("problem", "bounds has none for cohort_siz")
    assert first.mend == "add to bounds: cohort_size: [null]"


def test_what_leaves_an_order_is_no_problem():
    """The largest of each that six sites still answer: h_min of 5 is above n_min, which a run may raise."""
    for values in (
        {"pace_s": 1200, "n_min": 6, "h_min": 5},
        {"h_min": 5, "n_min": 2, "max_colluders": 1},
        {"max_colluders": 3, "n_min": 2, "h_min": 1},
        {"privacy.n_max": {"max": 5}, "cohort_size": [5], "rounds": [1]},
        {"task.name": ["csv", "heart"]},
    ):
        assert not any(row.startswith("problem") for row in rows_of(values)), values


def test_a_policy_for_drawn_cohorts_is_held_against_the_template_for_them():
    drawn = {"cohort_size": "any", "joins_a_day": 12, "sums_a_day": 1300}
    (row,) = rows_of(drawn)
    assert row.startswith("ok")
    assert "drawn cohorts too; nothing is looser than in the template of task=csv --drawn" in row
    first, second = rows_of(drawn | {"joins_a_day": 13})
    assert "keys site NAME --task csv --drawn" in first
    assert "joins_a_day is 13, and 12 in the template" in second
