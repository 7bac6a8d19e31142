"""The program in this process: its imports are paid for once."""

import sys
from pathlib import Path

import pytest

from cli.main import run

HEART = Path(__file__).resolve().parents[4] / "shared" / "data" / "heart"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty present folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["calyx"])  # Hydra reads it
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the program sets it; here it is put back
    yield tmp_path
    if "joblib.externals.loky" in sys.modules:  # its processes stay in the folder of their start
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown()


@pytest.fixture
def heart(here):
    """Overrides of a task that a round takes a tenth of a second of."""
    if not HEART.is_dir():
        pytest.skip("../shared/data/heart is not here")
    return ["task=heart", f"task.data_dir={HEART}", "rounds=2"]


@pytest.fixture
def sweep(here, capfd):
    """Run a sweep; returns exit code, standard output, standard error."""

    def start(*words):
        code = run(["simulate", "-m", *words])
        said = capfd.readouterr()
        return code, said.out, said.err

    return start
