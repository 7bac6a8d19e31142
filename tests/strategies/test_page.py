"""docs/strategies.md speaks of every installed strategy and its keys.

Its commands are run by e2e/test_commands.py.
"""

import dataclasses
import re
import shlex
from importlib.metadata import entry_points

import pytest
from support.pages import ROOT, commands

from benchmarks import comparison
from calyx.composing.compose import compose, resolve
from calyx.model.attack_config import AdversarialConfig

PAGE = (ROOT / "docs" / "strategies.md").read_text()
INSTALLED = sorted(entry_points(group="calyx.strategies").names)
BENCHMARKS = re.findall(r"^python -m benchmarks.comparison ([^#\n]*)", PAGE, re.MULTILINE)


def section(name):
    found = re.search(rf"^### `{name}`\n(.*?)(?=^#)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("name", INSTALLED)
def test_an_installed_strategy_has_its_section_with_every_key(name):
    text = section(name)
    assert "on one group" in text, f"docs/strategies.md lacks a whole section {name}"
    strategy = resolve(compose([f"strategy={name}", "privacy=none", "privacy.groups=all"]))[
        "strategy"
    ]
    assert strategy["local"]["adversarial"] is None
    for key in {*strategy["server"], *strategy["local"]} - {"adversarial"}:  # every strategy's
        assert re.search(rf"`(strategy\.(server|local)\.)?{key}`", text), key


def test_the_keys_that_every_strategy_has_are_told_once():
    fields = {field.name for field in dataclasses.fields(AdversarialConfig)}
    table = PAGE.partition("| key of `strategy.local.adversarial` |")[2].partition("\n\n")[0]
    told = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    assert set(told) == fields


def test_it_has_commands():
    assert len(commands("docs/strategies.md")) >= 2
    assert len(BENCHMARKS) == 3


def test_the_options_of_its_benchmarks_are_understood_and_ask_for_what_the_page_says():
    table, paired, whole = (
        comparison.jobs_of(comparison.parser().parse_args(shlex.split(words)))
        for words in BENCHMARKS
    )
    assert len(table) == int(re.search(r"; (\d+) runs, two at a time", PAGE)[1])
    assert {job.strategy for job in paired} == {"fedavg", "scaffold", "fednova"}
    assert {job.seed for job in paired} == set(range(1, 6))
    changed = ("stopping.patience=null", "task.min_rows=1", "training.lr=0.2")
    assert {job.overrides for job in whole} == {changed}
    assert len(whole) == len(paired)
