"""A site's bounds: what is within one, and which ones are refused since no order could meet them."""

import importlib.metadata
import re
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from support.site_files import POLICY

from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.tasks import registry
from client.gate import order_keys
from client.gate.bounds import is_within
from client.gate.policy import PolicyConfig


def read(bounds):
    return parse(PolicyConfig, POLICY | {"bounds": bounds}, "client.policy").bounds


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
    ("training.epochs", {"max": 0}, "which is a whole number, at least 1"),
    ("cv.k", {"min": 21}, "at least 2 and at most 20"),
    ("rounds", {"min": 1.2, "max": 1.8}, "a whole number, at least 1"),
    ("privacy.bits", {"min": 17, "max": 23}, "it is one of 16, 24, 32"),
    ("cv.k", ["client"], "it is a number, or one of clients"),
    ("privacy.bits", [8], "it is one of 16, 24, 32"),
]


@pytest.mark.parametrize(("key", "bound", "words"), WRONG)
def test_a_bound_that_no_order_could_meet_is_refused_when_it_is_read(key, bound, words):
    # Of a task that says nothing of its keys, as one of the tests' own, any might be meant.
    own = {"task.name": ["csv"]} if key.startswith("task.") and key != "task.name" else {}
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        read({"training.*": "any", **own, key: bound})
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
        ("training.lr", {"min": 1.2, "max": 1.8}),
        ("rounds", {"min": 1.2, "max": 2.8}),
        ("privacy.bits", {"min": 17}),
        ("training.early_stopping.*", "any"),
        ("cv.k", [5, "clients"]),
        ("privacy.groups", ["all", 1]),
    ],
)
def test_a_bound_that_an_order_can_meet_is_read(key, bound):
    assert read({"strategy.name": ["fedavg"], key: bound})


@pytest.fixture
def a_package(tmp_path, monkeypatch):
    """A task of somebody's own that says nothing of its section but what its config file does."""
    folder = tmp_path / "harvest_conf" / "task"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "harvest.yaml").write_text(
        "# @package _global_\ntask: {name: harvest, data_dir: null, layers: 2, net: {width: 8}, w_max: 64}\n"
    )
    (tmp_path / "harvest.py").write_text("class Harvest:\n    load = model = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = {
        "calyx.tasks": [EntryPoint("harvest", "harvest:Harvest", "calyx.tasks")],
        "calyx.configs": [EntryPoint("harvest", "harvest_conf", "calyx.configs")],
    }
    real = importlib.metadata.entry_points

    def found(*, group):
        return EntryPoints([*points.get(group, []), *real(group=group)])

    for module in (registry, order_keys):
        monkeypatch.setattr(module, "entry_points", found)
    caches = (registry.load_class, order_keys.order_keys)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_the_keys_of_a_packages_task_are_those_of_its_config_file(a_package):
    name = {"task.name": ["harvest"]}
    assert read(
        name | {"task.layers": {"max": 4}, "task.net.width": {"max": 16}, "task.w_max": [64]}
    )
    for key, near in (
        ("task.layer", "task.layers"),
        ("task.net.widht", "task.net.width"),
        ("task.net", "task.net.*"),
        ("task.data_dir", ""),
    ):
        with pytest.raises(ConfigError, match=rf"bounds\.{re.escape(key)} .*{re.escape(near)}"):
            read(name | {key: "any"})
