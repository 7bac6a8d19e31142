"""Tasks and strategies are what is installed."""

import sys
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from types import ModuleType
from typing import ClassVar

import pytest

from calyx.data.schema import Column, Schema
from calyx.errors import ConfigError
from calyx.tasks import registry
from calyx.tasks.registry import load_class, load_point, load_task
from calyx.trust.measured import Importer


@pytest.mark.parametrize(
    ("kind", "name"), [("task", "os"), ("strategy", "builtins:eval"), ("strategy", "")]
)
def test_an_unknown_name_lists_what_is_installed(kind, name):
    with pytest.raises(ConfigError, match=r"installed: .*(digits|fedavg)"):
        load_class(kind, name)


def test_a_task_is_made_from_its_section_without_the_data_folder():
    section = {"name": "heart", "w_max": 64, "data_dir": "/somewhere"}
    assert load_task(section).w_max == 64
    with pytest.raises(ConfigError, match=r"task\.name is missing"):
        load_task({"w_max": 64})


def test_the_list_is_what_the_metadata_of_installed_packages_says():
    for kind, group in (("task", "calyx.tasks"), ("strategy", "calyx.strategies")):
        names = ", ".join(sorted(entry_points(group=group).names))
        with pytest.raises(ConfigError) as caught:
            load_class(kind, "nope")
        assert str(caught.value) == f"There is no {kind} 'nope'; installed: {names}."


def test_a_task_is_no_strategy():
    with pytest.raises(ConfigError, match="There is no strategy 'digits'"):
        load_class("strategy", "digits")


@pytest.mark.parametrize("name", [None, 3, ["digits"], {"digits": 1}])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(ConfigError, match=r"task\.name"):
        load_task({"name": name})


@pytest.fixture
def installed(monkeypatch):
    """Make a thing the only entry point `fleet` of a kind; returns how it is written."""

    def install(kind, thing):
        module = ModuleType("fleet_of_tests")
        module.Fleet = thing
        monkeypatch.setitem(sys.modules, module.__name__, module)
        point = EntryPoint("fleet", "fleet_of_tests:Fleet", registry.GROUPS[kind])
        monkeypatch.setattr(registry, "entry_points", lambda **_: EntryPoints([point]))
        load_class.cache_clear()

    yield install
    load_class.cache_clear()


class Empty:
    """Imports, and is nothing."""


class Loads:
    """Has a task's methods and no more."""

    def __init__(self, section):
        self.name = "fleet"

    def load(self, client, data_dir, seed):
        return None

    def model(self, num_inputs):
        return None


class WithoutSection(Loads):
    """A class that is made of nothing."""

    def __init__(self):
        super().__init__({})


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Empty, "lacks load, model"),
        (lambda section: Loads(section), "lacks load, model"),
        (Loads({}), "is no class"),
        (WithoutSection, "lacks a constructor that takes the section"),
        (Loads, "lacks w_max, clients, schema"),
    ],
    ids=["an empty class", "a function", "an object", "no section", "no attributes"],
)
def test_an_entry_point_that_is_no_task_is_named_with_what_a_task_has(installed, thing, words):
    installed("task", thing)
    with pytest.raises(
        ConfigError, match=rf"entry point 'fleet' of a task, .*:.*, {words}"
    ) as caught:
        load_task({"name": "fleet"})
    assert "with name, w_max, clients, schema, load and model" in str(caught.value)
    assert "\n" not in str(caught.value)


class Whole(Loads):
    """A task; what a test changes is in `changed`."""

    changed: ClassVar = {}
    w_max, clients = 64, ("a", "b")
    schema = Schema((Column("x", "numeric"),), ("no", "yes"))

    def __init__(self, section):
        super().__init__(section)
        for name, value in self.changed.items():
            setattr(self, name, value)


class Raises(Whole):
    """Its constructor fails."""

    def __init__(self, section):
        super().__init__(section)
        self.rows = {}["rows"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "ships"}, "a class whose name is 'ships'"),
        ({"clients": ("a", "a")}, "has the client a twice"),
        ({"clients": ("a", 2)}, "are names, a tuple of texts, and not"),
        ({"clients": "ab"}, "are names, a tuple of texts, and not 'ab'"),
        ({"schema": ("x",)}, "is a tuple, and no calyx.data.schema.Schema"),
        ({"schema": Schema((Column("x", "numeric"),), ("no", "no"))}, "has the class no twice"),
        ({"w_max": 100}, "w_max=100 is not a power of two"),
        ({"w_max": "64"}, "is a number of rows or None, not '64'"),
    ],
)
def test_an_attribute_of_another_type_is_named(installed, monkeypatch, changed, words):
    installed("task", Whole)
    assert load_task({"name": "fleet"}).clients == ("a", "b")
    monkeypatch.setattr(Whole, "changed", changed)
    with pytest.raises(ConfigError, match=rf"task=fleet.* ?{words}") as caught:
        load_task({"name": "fleet"})
    assert "\n" not in str(caught.value)


def test_a_constructor_that_fails_is_told_with_its_line(installed):
    installed("task", Raises)
    with pytest.raises(
        ConfigError, match=r"^task=fleet cannot be made: KeyError: 'rows' \(tasks/test"
    ):
        load_task({"name": "fleet"})


@pytest.mark.parametrize("thing", [Empty, Loads({}), len])
def test_an_entry_point_that_is_no_strategy_is_named_with_what_one_is(installed, thing):
    installed("strategy", thing)
    words = r"entry point 'fleet' of a strategy, fleet_of_tests:Fleet, .*subclass of .*Algorithm\.$"
    with pytest.raises(ConfigError, match=words):
        load_class("strategy", "fleet")


def test_every_task_and_strategy_that_is_installed_is_one():
    for kind, group in (("task", "calyx.tasks"), ("strategy", "calyx.strategies")):
        for name in entry_points(group=group).names:
            assert load_class(kind, name).__name__


@pytest.mark.parametrize("kind", registry.GROUPS)
def test_where_a_manifest_holds_a_package_that_it_does_not_cover_is_not_imported(
    installed, monkeypatch, kind
):
    installed(kind, None)
    monkeypatch.setitem(sys.modules, "fleet_of_tests", None)  # whoever imports it fails
    importer = Importer()
    importer.is_sealed = True
    monkeypatch.setattr(sys, "meta_path", [importer, *sys.meta_path])
    with pytest.raises(ConfigError, match=r"keys manifest --package fleet_of_tests`\.$"):
        load_point(kind, "fleet")
