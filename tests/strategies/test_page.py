"""docs/strategies.md speaks of every installed strategy and its keys, and its commands run."""

import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from calyx.composing import compose, resolved
from engines.planning import check_config

PAGE = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text()
INSTALLED = sorted(entry_points(group="calyx.strategies").names)
COMMANDS = re.findall(r"^calyx simulate ([^#\n]*)", PAGE, re.MULTILINE)


def section(name):
    found = re.search(rf"^### `{name}`\n(.*?)(?=^#)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("name", INSTALLED)
def test_an_installed_strategy_has_its_section_with_every_key(name):
    text = section(name)
    assert "on one group" in text, f"docs/strategies.md lacks a whole section {name}"
    strategy = resolved(compose([f"strategy={name}", "privacy=none", "privacy.groups=all"]))[
        "strategy"
    ]
    for key in (*strategy["server"], *strategy["local"]):
        assert re.search(rf"`(strategy\.(server|local)\.)?{key}`", text), key


@pytest.mark.parametrize("arguments", COMMANDS)
def test_its_commands_can_be_run(arguments):
    check_config(resolved(compose(shlex.split(arguments))))


def test_it_has_commands():
    assert len(COMMANDS) >= 2
