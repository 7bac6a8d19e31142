"""Sweeps as a user runs them: killed and started again, side by side, a search that is stopped."""

import csv
import hashlib
import json

import pytest
from support.begun import Begun, wait_for_rounds
from support.program import SMALL, run_here

pytestmark = pytest.mark.e2e

WORDS = [*SMALL, "rounds=5", "seed=1,2", "hydra.sweep.dir=s"]


def rows_of(folder):
    return list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The model of a single run with the config of the second job."""
    path = tmp_path_factory.mktemp("alone")
    ended = run_here(path, "simulate", *SMALL, "rounds=5", "seed=2", "hydra.run.dir=one")
    assert ended.returncode == 0, ended.stderr
    return hashlib.sha256((path / "one" / "model.safetensors").read_bytes()).hexdigest()


def goes_on(calyx, tmp_path, alone):
    again = calyx("simulate", "-m", *WORDS)
    assert again.returncode == 0, again.stderr
    assert "which goes on" in again.stdout
    rows = rows_of(tmp_path / "s")
    assert [row["status"] for row in rows] == ["finished"] * 2
    assert rows[1]["model_sha256"] == alone
    assert "± " in again.stdout


def test_a_killed_sweep_goes_on_to_the_models_of_single_runs(tmp_path, calyx, alone):
    with Begun(tmp_path, "simulate", "-m", *WORDS) as sweep:
        wait_for_rounds(tmp_path / "s" / "1", 1)
        sweep.kill()
    goes_on(calyx, tmp_path, alone)


def test_jobs_side_by_side_that_ctrl_c_stopped_go_on_one_by_one(tmp_path, calyx, alone):
    with Begun(tmp_path, "simulate", "-m", *WORDS, "hydra/launcher=joblib") as sweep:
        wait_for_rounds(tmp_path / "s" / "1", 1)
        ended = sweep.interrupt()
    assert ended.returncode == 130
    assert ended.stderr.startswith("calyx: Stopped; nothing that was finished is lost.")
    assert ended.stderr.count("\n") == 1
    goes_on(calyx, tmp_path, alone)


def test_a_search_that_is_stopped_goes_on_and_repeats_nothing(tmp_path, calyx):
    words = [*SMALL, "rounds=8", "training.lr=interval(0.05,0.5)", "hydra/sweeper=optuna"]
    words += ["hydra.sweeper.n_trials=3", "hydra.sweep.dir=s"]
    with Begun(tmp_path, "simulate", "-m", *words) as search:
        wait_for_rounds(tmp_path / "s" / "1", 1)
        assert search.interrupt().returncode == 130
    first = json.loads((tmp_path / "s" / "1" / "job.json").read_text())["overrides"]
    again = calyx("simulate", "-m", *words)
    assert again.returncode == 0, again.stderr
    rows = rows_of(tmp_path / "s")
    assert [(row["job"], row["status"]) for row in rows] == [(str(i), "finished") for i in range(3)]
    assert len({row["training.lr"] for row in rows}) == 3
    assert f"training.lr={rows[1]['training.lr']}" in first
    assert "calyx simulate" in again.stdout
