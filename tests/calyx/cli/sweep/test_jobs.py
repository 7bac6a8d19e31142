"""Sweeps in this process: the table, and starting again; jobs side by side: test_side_by_side.py."""

import csv
import hashlib
import json
import shutil

import pytest
from support.program import run_here

from calyx.files.plain import read_lines

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def words(heart):
    return [*heart, "strategy=fedavg,fedprox", "seed=1,2", "hydra.sweep.dir=s"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, words):
    """A finished sweep, to look at and to copy: how it ended, and its folder."""
    here = tmp_path_factory.mktemp("made")
    return run_here(here, "simulate", "-m", *words), here / "s"


@pytest.fixture
def finished(made, copied):
    """A copy of it."""
    return copied(made[1])


def rows_of(folder):
    return list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))


def model_hash(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def files_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sweep_ends_with_a_table_and_a_leaderboard(made):
    done, folder = made
    assert (done.returncode, done.stderr) == (0, "")
    rows = rows_of(folder)
    assert [(row["strategy"], row["seed"]) for row in rows] == [
        ("fedavg", "1"),
        ("fedavg", "2"),
        ("fedprox", "1"),
        ("fedprox", "2"),
    ]
    for row in rows:
        summary = json.loads((folder / row["folder"] / "summary.json").read_text())
        assert row["model_sha256"] == summary["model_sha256"] == model_hash(folder / row["folder"])
        assert float(row["test_accuracy"]) == summary["test_accuracy"]
        assert summary["baselines"] is None
    assert "leaderboard by the best round's val_loss" in done.stdout
    mean = sum(float(row["best_val_loss"]) for row in rows[:2]) / 2
    assert f"{mean:.4f} ± " in done.stdout
    assert (folder / "report.html").exists()


def test_a_sweep_started_again_skips_resumes_and_begins(sweep, words, finished):
    """Job 1 did not end, job 2 never began, and job 3 was killed before its first checkpoint."""
    before = [row["model_sha256"] for row in rows_of(finished)]
    for file in ("summary.json", "report.html", "model.safetensors", "job.json"):
        (finished / "1" / file).unlink()
    shutil.rmtree(finished / "2")
    config = (finished / "3" / "config.yaml").read_bytes()
    shutil.rmtree(finished / "3")
    (finished / "3").mkdir()
    (finished / "3" / "config.yaml").write_bytes(config)
    code, said, _ = sweep(*words)
    assert code == 0
    assert "job 0: task=heart" in said
    assert [row["model_sha256"] for row in rows_of(finished)] == before
    assert [row["status"] for row in rows_of(finished)] == ["finished"] * 4
    assert said.count("finished before") == 1
    assert said.count("which goes on") == 1
    assert [e["event"] for e in read_lines(finished / "1" / "events.jsonl")].count("resumed") == 1


def test_more_rounds_go_on_also_where_a_job_has_done_them_by_resume(sweep, words, finished, here):
    job = finished / "1" / "job.json"
    job.write_text(json.dumps(json.loads(job.read_text()) | {"status": "failed", "error": "x"}))
    assert run_here(here, "resume", "s/1", "rounds=3").returncode == 0
    code, said, _ = sweep(*words, "rounds=3")
    assert (code, said.count("finished before")) == (0, 1)
    assert [(row["status"], row["rounds"]) for row in rows_of(finished)] == [("finished", "3")] * 4


def test_a_job_of_an_earlier_version_is_refused_as_that(sweep, words, finished):
    """Its config lacks a key that a run has today."""
    config = finished / "0" / "config.yaml"
    lines = [one for one in config.read_text().splitlines() if "objective:" not in one]
    config.write_text("\n".join(lines))
    code, _, error = sweep(*words)
    assert (code, error.count("\n")) == (2, 1)
    assert "of another version of Calyx (The config key stopping.objective is missing" in error


@pytest.mark.parametrize(
    ("more", "why"), [("rounds=1", "rounds=2"), ("training.lr=0.9", "another config")]
)
def test_fewer_rounds_or_another_config_are_refused(sweep, words, finished, more, why):
    before = files_below(finished)
    code, _, error = sweep(*words, more)
    assert (code, why in error, error.count("\n")) == (2, True, 1), error
    assert files_below(finished) == before
