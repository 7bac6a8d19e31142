"""Sweeps as a user runs them: killed and started again, side by side, a search that is stopped."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import time

import pytest
from support.program import SMALL, calyx_command, environment

from calyx.files import read_lines

pytestmark = pytest.mark.e2e


def rows_of(folder):
    return list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))


def stop_within(tmp_path, words, job, how):
    """Start a sweep, and send its whole group a signal once `job` has done a round; its end."""
    with subprocess.Popen(
        calyx_command("simulate", "-m", *words),
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        until = time.monotonic() + 90
        while not read_lines(tmp_path / "s" / str(job) / "rounds.jsonl"):
            assert time.monotonic() < until, "the job never began"
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.02)
        os.killpg(run.pid, how)
        _, errors = run.communicate(timeout=30)
    until = time.monotonic() + 15
    while is_alive(run.pid):
        assert time.monotonic() < until, "a process was left behind"
        time.sleep(0.05)
    return run.returncode, errors


def is_alive(group):
    found = subprocess.run(
        ["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in found.splitlines()]
    return any(int(pgid) == group and not stat.startswith("Z") for pgid, stat in rows)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The model of a single run with the config of the second job."""
    path = tmp_path_factory.mktemp("alone")
    words = [*SMALL, "rounds=6", "seed=2", "hydra.run.dir=one"]
    subprocess.run(calyx_command("simulate", *words), cwd=path, env=environment(), check=True)
    return hashlib.sha256((path / "one" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("launcher", "how", "code"),
    [("basic", signal.SIGKILL, -signal.SIGKILL), ("joblib", signal.SIGINT, 130)],
)
def test_a_stopped_sweep_goes_on_to_the_models_of_single_runs(
    tmp_path, calyx, alone, launcher, how, code
):
    words = [*SMALL, "rounds=6", "seed=1,2", f"hydra/launcher={launcher}", "hydra.sweep.dir=s"]
    ended, errors = stop_within(tmp_path, words, 1, how)
    assert ended == code
    if how == signal.SIGINT:
        assert errors.startswith("calyx: Stopped; nothing that was finished is lost.")
        assert errors.count("\n") == 1
    again = calyx("simulate", "-m", *words)
    assert again.returncode == 0, again.stderr
    assert "which goes on" in again.stdout
    rows = rows_of(tmp_path / "s")
    assert [row["status"] for row in rows] == ["finished"] * 2
    assert rows[1]["model_sha256"] == alone
    assert "± " in again.stdout


def test_a_search_that_is_stopped_goes_on_and_repeats_nothing(tmp_path, calyx):
    words = [*SMALL, "rounds=3", "training.lr=interval(0.05,0.5)", "hydra/sweeper=optuna"]
    words += ["hydra.sweeper.n_trials=3", "hydra.sweep.dir=s"]
    assert stop_within(tmp_path, words, 1, signal.SIGINT)[0] == 130
    first = json.loads((tmp_path / "s" / "1" / "job.json").read_text())["overrides"]
    again = calyx("simulate", "-m", *words)
    assert again.returncode == 0, again.stderr
    rows = rows_of(tmp_path / "s")
    assert [(row["job"], row["status"]) for row in rows] == [(str(i), "finished") for i in range(3)]
    assert len({row["training.lr"] for row in rows}) == 3
    assert f"training.lr={rows[1]['training.lr']}" in first
    assert "calyx simulate" in again.stdout
