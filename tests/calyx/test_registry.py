"""Tasks and strategies are what is installed."""

from importlib.metadata import entry_points

import pytest

from calyx.errors import ConfigError
from calyx.registry import load_class, load_task


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
