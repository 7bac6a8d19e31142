"""Sweeps in this process: the table, starting again, failing, and the same bytes side by side."""

import csv
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from support.program import FAULTY

from calyx.files import read_lines
from calyx.hardware import cores
from cli.main import run


def rows_of(folder):
    return list(csv.DictReader((Path(folder) / "sweep.csv").read_text().splitlines()))


def model_hash(folder):
    return hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()


def test_a_sweep_ends_with_a_table_and_a_leaderboard(sweep, heart):
    code, said, error = sweep(*heart, "strategy=fedavg,fedprox", "seed=1,2", "hydra.sweep.dir=s")
    assert (code, error) == (0, "")
    rows = rows_of("s")
    assert [(row["strategy"], row["seed"]) for row in rows] == [
        ("fedavg", "1"),
        ("fedavg", "2"),
        ("fedprox", "1"),
        ("fedprox", "2"),
    ]
    for row in rows:
        summary = json.loads(Path("s", row["folder"], "summary.json").read_text())
        assert row["model_sha256"] == summary["model_sha256"] == model_hash(f"s/{row['folder']}")
        assert float(row["test_accuracy"]) == summary["test_accuracy"]
        assert summary["baselines"] is None
    assert "leaderboard by the best round's val_loss" in said
    mean = sum(float(row["best_val_loss"]) for row in rows[:2]) / 2
    assert f"{mean:.4f} ± " in said
    assert Path("s/report.html").exists() is (find_spec("cli.report.comparison") is not None)


def test_a_sweep_started_again_skips_resumes_and_begins(sweep, heart):
    words = [*heart, "seed=1,2,3", "rounds=4", "hydra.sweep.dir=s"]
    assert sweep(*words)[0] == 0
    before = [row["model_sha256"] for row in rows_of("s")]
    stopped, gone = Path("s/1"), Path("s/2")
    for file in ("summary.json", "report.html", "model.safetensors", "job.json"):
        (stopped / file).unlink()
    for path in sorted(gone.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    code, said, _ = sweep(*words)
    assert code == 0
    assert "job 0: task=heart" in said
    assert [row["model_sha256"] for row in rows_of("s")] == before
    assert said.count("finished before") == 1
    assert said.count("which goes on") == 1
    assert [e["event"] for e in read_lines(stopped / "events.jsonl")].count("resumed") == 1


def test_a_job_killed_before_its_first_checkpoint_begins_anew(sweep, heart):
    words = [*heart, "seed=1,2", "hydra.sweep.dir=s"]
    assert sweep(*words)[0] == 0
    for path in sorted(Path("s/1").rglob("*"), reverse=True):
        if path.name != "config.yaml":
            path.rmdir() if path.is_dir() else path.unlink()
    assert sweep(*words)[0] == 0
    assert [row["status"] for row in rows_of("s")] == ["finished"] * 2


def test_more_rounds_go_on_and_fewer_or_another_config_are_refused(sweep, heart):
    words = [*heart, "seed=1,2", "hydra.sweep.dir=s"]
    assert sweep(*words)[0] == 0
    assert sweep(*words, "rounds=3")[0] == 0
    assert [row["rounds"] for row in rows_of("s")] == ["3", "3"]
    before = {path: path.read_bytes() for path in Path("s").rglob("*") if path.is_file()}
    for more, why in ((["rounds=2"], "rounds=3"), (["training.lr=0.9"], "another config")):
        code, _, error = sweep(*words, *more)
        assert (code, why in error, error.count("\n")) == (2, True, 1), error
    assert {p: p.read_bytes() for p in Path("s").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_job_that_fails_leaves_the_others_and_is_told(sweep, here, monkeypatch, launcher):
    monkeypatch.syspath_prepend(str(FAULTY))
    monkeypatch.setenv("PYTHONPATH", str(FAULTY))
    code, said, error = sweep(
        "--config-dir",
        str(FAULTY / "conf"),
        "task=faulty",
        "task.fault=raise",
        "task.victims=6,0",
        "rounds=1",
        "retries=0",
        f"hydra/launcher={launcher}",
        "hydra.sweep.dir=s",
    )
    assert code == 1
    assert [row["status"] for row in rows_of("s")] == ["failed", "finished"]
    assert "internal-error" in rows_of("s")[0]["error"]
    assert "job 0  task.victims=6  failed: Round 1" in said
    assert error.startswith("calyx: 1 of 2 jobs did not finish (0)")
    assert error.count("\n") == 1


def test_side_by_side_gives_the_same_bytes_and_shares_the_cores(sweep, heart):
    words = [*heart, "seed=1,2,3"]
    assert sweep(*words, "hydra.sweep.dir=one")[0] == 0
    code, said, _ = sweep(*words, "hydra/launcher=joblib", "hydra.sweep.dir=two")
    assert code == 0
    assert [row["model_sha256"] for row in rows_of("two")] == [
        row["model_sha256"] for row in rows_of("one")
    ]
    at_once = min(3, cores())
    config = yaml.safe_load(Path("two/0/config.yaml").read_text())
    assert config["engine"]["workers"] == max(1, cores() // at_once)
    assert {said.count(f"[{job}] round ") for job in range(3)} == {2}


def test_a_job_finished_by_resume_counts_as_finished(sweep, heart):
    words = [*heart, "seed=1,2", "hydra.sweep.dir=s"]
    assert sweep(*words)[0] == 0
    job = Path("s/1/job.json")
    job.write_text(json.dumps(json.loads(job.read_text()) | {"status": "failed", "error": "x"}))
    assert run(["resume", "s/1", "rounds=3"]) == 0
    code, said, _ = sweep(*words, "rounds=3")
    assert (code, said.count("finished before")) == (0, 1)
    assert [row["status"] for row in rows_of("s")] == ["finished"] * 2
