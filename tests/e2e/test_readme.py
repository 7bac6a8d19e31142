"""The README shows only what works: each of its commands runs."""

import re
import shlex
import sys
from math import prod
from pathlib import Path

import pytest
from support.pages import shortened

from cli.main import run

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
COMMANDS = re.findall(r"^scripts/simulate(.*?)(?:\s+#.*)?$", README, flags=re.MULTILINE)


def test_the_readme_has_the_two_commands():
    assert "scripts/simulate" in README
    assert "scripts/test" in README
    assert len(COMMANDS) >= 8


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty present folder, and no joblib process that stays in it."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    if "joblib.externals.loky" in sys.modules:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(here, command, capsys):
    words = shlex.split(command)
    if "--cfg" in words:
        assert run(["simulate", *words]) == 0
        assert "cohort_size: null" in capsys.readouterr().out
        return
    assert run(["simulate", *shortened(words)]) == 0, capsys.readouterr().err
    jobs = prod(len(w.split(",")) for w in words) if "-m" in words else 1
    assert len(list(here.rglob("summary.json"))) == jobs
    assert list(here.rglob("report.html"))


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
