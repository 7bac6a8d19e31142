"""Tasks and strategies are what is installed."""

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
