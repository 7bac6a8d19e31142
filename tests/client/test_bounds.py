"""A site's bounds: what is within one, and which ones are refused since no order could meet them."""

import re

import pytest
from support.federation import Federation

from calyx.config import parse
from calyx.errors import ConfigError
from client.bounds import is_within
from client.policy import PolicyConfig


def read(bounds):
    section = dict(Federation().plan.run.client["policy"])
    return parse(PolicyConfig, section | {"bounds": bounds}, "client.policy").bounds


@pytest.mark.parametrize(
    ("value", "bound", "allowed"),
    [
        (3, "any", True),
        ("a", ["a", "b"], True),
        ("c", ["a", "b"], False),
        (True, [1], False),
        (1, [1.0], True),  # one number, written in two ways
        (0, [False], False),
        (None, [None], True),
        (3, {"min": 3}, True),
        (2.9, {"min": 3}, False),
        (3, {"max": 2}, False),
        (3, {"min": 1, "max": 5}, True),
        (True, {"min": 0}, False),
        ("3", {"min": 0}, False),
        (None, {"min": 0}, False),
    ],
)
def test_a_bound_is_any_a_list_or_a_range(value, bound, allowed):
    assert is_within(value, bound) is allowed


# What no order could meet, and what the sentence says of it.
WRONG = [
    ("training.*", "all", "must be any, a list"),
    ("training.*", 3, "must be any, a list"),
    ("training.*", {}, "must be any, a list"),
    ("training.*", {"least": 1}, "must be any, a list"),
    ("training.*", None, "must be any, a list"),
    ("training.epoch", {"max": 10}, "perhaps training.epochs is meant"),
    ("trainning.lr", "any", "perhaps training.lr is meant"),
    ("Training.lr", "any", "perhaps training.lr is meant"),
    ("epochs", "any", "perhaps training.epochs is meant"),
    ("*.lr", "any", "perhaps training.lr is meant"),
    ("training.*.lr", "any", "a * stands at the end only"),
    ("*", "any", "a * stands at the end only"),
    ("training", "any", "perhaps training.* is meant"),
    ("training.early_stopping", "any", "perhaps training.early_stopping.* is meant"),
    ("statistic.*", "any", "perhaps statistics.* is meant"),
    ("statistics.*", [], "an empty list"),
    ("task.data_dir", "any", "no order has such a key"),
    ("task.hiden", "any", "perhaps task.hidden is meant"),
    ("task.schema.columns.age.hight", "any", "perhaps task.schema.columns.NAME.high is meant"),
    ("task.name", ["cvs"], "There is no task 'cvs'"),
    ("strategy.name", ["fedavgg"], "it is one of ditto, fedavg"),
    ("training.lr", {"min": 10, "max": 1}, "a min of 10, above its max of 1"),
    ("training.momentum", {"max": "1e-3"}, "write 0.001, without quotes"),
    ("training.momentum", {"max": True}, "must be a number"),
    ("rounds", [10, 20.0], "lists 20.0, which rounds never is: write 20"),
    ("rounds", [True], "lists true"),
    ("seed", ["1"], "write 1, without quotes"),
    ("training.optimizer", ["sdg"], "it is one of sgd, adam, adamw"),
    ("training.optimizer", {"min": 1}, "which holds no number"),
    ("training.epochs", {"max": 0}, "which is at least 1"),
    ("cv.k", {"min": 21}, "at least 2 and at most 20"),
    ("privacy.bits", [8], "it is one of 16, 24, 32"),
]


@pytest.mark.parametrize(("key", "bound", "words"), WRONG)
def test_a_bound_that_no_order_could_meet_is_refused_when_it_is_read(key, bound, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        read({"training.*": "any", key: bound})
    assert "bounds" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bound_is_of_the_tasks_that_the_policy_allows():
    assert read({"task.name": ["digits"], "task.alpha": "any"})
    with pytest.raises(ConfigError, match="no order has such a key"):
        read({"task.name": ["csv"], "task.alpha": "any"})


@pytest.mark.parametrize(
    ("key", "bound"),
    [
        ("task.schema.columns.age.low", {"min": 0}),
        ("task.schema.*", "any"),
        ("task.w_max", {"max": 1024}),
        ("task.w_max", [None]),
        ("strategy.local.*", {"min": 0, "max": 10}),
        ("preprocessing.fitted", [None]),
        ("training.lr", [1]),
        ("training.early_stopping.*", "any"),
        ("cv.k", [5, "clients"]),
        ("privacy.groups", ["all", 1]),
    ],
)
def test_a_bound_that_an_order_can_meet_is_read(key, bound):
    assert read({"strategy.name": ["fedavg"], key: bound})
