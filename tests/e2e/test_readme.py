"""The README shows only what works: each of its commands composes and plans."""

import re
import shlex
from pathlib import Path

import pytest

from calyx.composing import compose, resolved
from engines.planning import check_config

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
COMMANDS = re.findall(r"^scripts/simulate(.*?)(?:\s+#.*)?$", README, flags=re.MULTILINE)


def test_the_readme_has_the_two_commands():
    assert "scripts/simulate" in README
    assert "scripts/test" in README
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_composes_and_is_accepted(command):
    overrides = [
        word for word in shlex.split(command) if not word.startswith("-") and word != "job"
    ]
    single = [override.split(",")[0] for override in overrides]
    run, _, _ = check_config(resolved(compose(single)))
    for override in single:
        key, value = override.split("=", 1)
        if key in ("seed", "cohort_size"):
            assert str(getattr(run, key)) == value


def test_every_strategy_and_task_of_the_readme_is_installed():
    from importlib.metadata import entry_points

    for kind in ("tasks", "strategies"):
        names = entry_points(group=f"calyx.{kind}").names
        assert all(f"| `{name}` |" in README for name in names)


def test_every_link_of_the_readme_leads_somewhere():
    root = Path(__file__).resolve().parents[2]
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (root / link).exists()] == []
