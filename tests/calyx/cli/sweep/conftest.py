"""The program in this process: its imports are paid for once, and so is a sweep to look at."""

import shutil
from pathlib import Path

import pytest
from support.program import run_here

HEART = Path(__file__).resolve().parents[5] / "shared" / "data" / "heart"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty present folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def heart():
    """Overrides of a task that a round takes a tenth of a second of."""
    if not HEART.is_dir():
        pytest.skip("../shared/data/heart is not here")
    return ["task=heart", f"task.data_dir={HEART}", "rounds=2", "engine.workers=0"]


@pytest.fixture
def sweep(here):
    """Run a sweep; returns exit code, standard output, standard error."""

    def start(*words):
        ended = run_here(here, "simulate", "-m", *words)
        return ended.returncode, ended.stdout, ended.stderr

    return start


@pytest.fixture
def copied(here):
    """Put a copy of a finished sweep into the present folder; returns it."""

    def copy(made):
        return Path(shutil.copytree(made, here / made.name).name)

    return copy
