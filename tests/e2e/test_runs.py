"""The program as a user runs it: a run, a sweep, a crash, a resume, clients that fail."""

import hashlib
import json
import os
import signal
import subprocess
import time

import pexpect
import pytest
from support.program import BROKEN, SMALL, calyx_command, environment

from calyx.files import read_lines

pytestmark = pytest.mark.e2e

FILES = {
    "config.yaml",
    "statistics.json",
    "audit.json",
    "rounds.jsonl",
    "clients.jsonl",
    "events.jsonl",
    "checkpoints",
    "model.safetensors",
    "summary.json",
    "report.html",
}


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def model_hash(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def start(tmp_path, *arguments):
    return subprocess.Popen(
        calyx_command(*arguments),
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rounds(folder, number, seconds=60):
    until = time.monotonic() + seconds
    while len(read_lines(folder / "rounds.jsonl")) < number:
        assert time.monotonic() < until, f"round {number} never came"
        time.sleep(0.02)


def processes_of(group):
    found = subprocess.run(
        ["ps", "-eo", "pgid=,pid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in found.stdout.splitlines()]
    return [pid for pgid, pid, stat in rows if int(pgid) == group and not stat.startswith("Z")]


def wait_until_gone(group):
    until = time.monotonic() + 15
    while processes_of(group):
        assert time.monotonic() < until, "a process was left behind"
        time.sleep(0.05)


def test_a_run_leaves_its_folder_with_baselines_and_report(calyx, tmp_path):
    ended = calyx(
        "simulate", "rounds=4", "task.num_clients=6", "training.epochs=1", "hydra.run.dir=out"
    )
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    figures = summary(tmp_path / "out")
    assert figures["model_sha256"] == model_hash(tmp_path / "out")
    assert figures["rounds"] == len(read_lines(tmp_path / "out" / "rounds.jsonl")) == 4
    assert figures["baselines"]["federated"] == pytest.approx(figures["test_accuracy"], abs=1e-6)
    assert (
        figures["baselines"]["pooled"]
        > figures["baselines"]["local_mean"]
        > figures["baselines"]["local_worst"]
    )
    assert "round 4/4" in ended.stdout
    assert "pooled" in ended.stdout


def test_heart_runs_from_a_folder_relative_to_here(calyx, tmp_path, heart_dir):
    os.symlink(heart_dir, tmp_path / "heart")
    ended = calyx("simulate", "task=heart", "task.data_dir=heart", "rounds=12", "hydra.run.dir=out")
    assert ended.returncode == 0, ended.stderr
    figures = summary(tmp_path / "out")
    assert figures["test_accuracy"] > figures["baselines"]["local_mean"] + 0.05
    events = read_lines(tmp_path / "out" / "events.jsonl")
    hidden = [e for e in events if (e["client"], e.get("column")) == ("switzerland", "chol")]
    assert [e["count"] for e in hidden] == [123]
    assert "data_dir" not in json.dumps(figures)


def test_a_sweep_runs_its_jobs_in_a_folder_each_without_baselines(calyx, tmp_path):
    small = [a for a in SMALL if not a.startswith("baselines")]
    ended = calyx("simulate", *small, "-m", "seed=1,2", "hydra.sweep.dir=sweep")
    assert ended.returncode == 0, ended.stderr
    seeds = {name: summary(tmp_path / "sweep" / name)["seed"] for name in ("0", "1")}
    assert seeds == {"0": 1, "1": 2}
    assert summary(tmp_path / "sweep" / "0")["baselines"] is None
    assert calyx("simulate", *SMALL, "seed=2", "hydra.run.dir=alone").returncode == 0
    assert model_hash(tmp_path / "alone") == model_hash(tmp_path / "sweep" / "1")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of eight rounds that was never stopped."""
    path = tmp_path_factory.mktemp("whole")
    ended = subprocess.run(
        calyx_command("simulate", *SMALL, "rounds=8", "strategy=fedopt", "hydra.run.dir=run"),
        cwd=path,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return path / "run"


@pytest.mark.parametrize("rounds_before", [0, 3, 7])
def test_a_killed_run_resumes_to_the_same_bytes_and_leaves_no_process(
    tmp_path, calyx, whole, rounds_before
):
    folder = tmp_path / "run"
    run = start(tmp_path, "simulate", *SMALL, "rounds=8", "strategy=fedopt", "hydra.run.dir=run")
    if rounds_before:
        wait_for_rounds(folder, rounds_before)
    else:
        while not (folder / "checkpoints" / "round-000000").exists():
            time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait_until_gone(run.pid)
    ended = calyx("resume", "run")
    if (folder / "summary.json").exists() and ended.returncode == 2:
        pytest.fail("the run was finished before it could be killed")
    assert ended.returncode == 0, ended.stderr
    assert model_hash(folder) == model_hash(whole)
    curves = [
        [(r["round"], r["val_loss"]) for r in read_lines(f / "rounds.jsonl")]
        for f in (folder, whole)
    ]
    assert curves[0] == curves[1]
    kinds = [
        [(r["kind"], r["round"], r["client"]) for r in read_lines(f / "clients.jsonl")]
        for f in (folder, whole)
    ]
    assert sorted(kinds[0]) == sorted(kinds[1])


def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(tmp_path, calyx, whole):
    run = start(tmp_path, "simulate", *SMALL, "rounds=8", "strategy=fedopt", "hydra.run.dir=run")
    wait_for_rounds(tmp_path / "run", 2)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, errors = run.communicate(timeout=20)
    assert run.returncode == 130
    assert "calyx resume" in errors
    assert "Traceback" not in errors
    wait_until_gone(run.pid)
    assert calyx("resume", "run").returncode == 0
    assert model_hash(tmp_path / "run") == model_hash(whole)


def test_ctrl_c_within_a_batch_that_never_ends(tmp_path):
    run = start(tmp_path, "simulate", *BROKEN, "task.fault=hang", "hydra.run.dir=run")
    while not (tmp_path / "run" / "clients.jsonl").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(run.pid, signal.SIGINT)
    run.communicate(timeout=20)
    assert run.returncode == 130
    wait_until_gone(run.pid)


def test_resume_refuses_what_it_cannot_go_on_with(tmp_path, calyx):
    folder = tmp_path / "run"
    assert calyx("simulate", *SMALL, "hydra.run.dir=run").returncode == 0
    before = model_hash(folder)
    ended = calyx("resume", "run")
    assert (ended.returncode, "is finished after 3 rounds" in ended.stderr) == (2, True)
    assert calyx("resume", "run", "rounds=2").returncode == 2
    assert "cannot change" in calyx("resume", "run", "seed=5").stderr
    assert (model_hash(folder), (folder / "summary.json").exists()) == (before, True)
    longer = calyx("resume", "run", "rounds=5")
    assert longer.returncode == 0, longer.stderr
    assert summary(folder)["rounds"] == 5

    (folder / "report.html").unlink()  # as if killed while the baselines were trained
    assert calyx("resume", "run", "baselines=true").returncode == 0
    assert summary(folder)["baselines"]["pooled"] > 0
    tests = [row for row in read_lines(folder / "clients.jsonl") if row["kind"] == "test"]
    assert len(tests) == 6

    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("seed: 1", "seed: 2"))
    ended = calyx("resume", "run", "rounds=9")
    assert (ended.returncode, "of another run" in ended.stderr) == (2, True)
    (folder / "config.yaml").write_text(config)
    for state in (folder / "checkpoints").glob("*/state.json"):
        state.write_text("{}")
    ended = calyx("resume", "run", "rounds=9")
    assert (ended.returncode, "is sound" in ended.stderr) == (2, True)


def test_a_damaged_last_checkpoint_costs_a_round_and_no_byte(tmp_path, calyx, whole):
    folder = tmp_path / "run"
    run = start(tmp_path, "simulate", *SMALL, "rounds=8", "strategy=fedopt", "hydra.run.dir=run")
    wait_for_rounds(folder, 4)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait_until_gone(run.pid)
    newest = max((folder / "checkpoints").glob("round-*"))
    (newest / "weights.safetensors").write_bytes(b"garbage")
    assert calyx("resume", "run").returncode == 0
    assert model_hash(folder) == model_hash(whole)
    assert "checkpoint-damaged" in {e["event"] for e in read_lines(folder / "events.jsonl")}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("infinite", "infinite-values"),
        ("empty", "no-rows"),
        ("crash", "died (signal 9)"),
        ("hang", "deadline"),
        ("raise", "internal-error"),
        ("diverge", "non-finite-update"),
    ],
)
def test_one_client_that_fails_does_not_stop_the_round(tmp_path, calyx, fault, reason):
    ended = calyx(
        "simulate", *BROKEN, f"task.fault={fault}", "deadline_s=3", "hydra.run.dir=run", "rounds=2"
    )
    assert ended.returncode == 0, ended.stderr
    rows = read_lines(tmp_path / "run" / "rounds.jsonl")
    assert [(row["dropped"], row["replies"]) for row in rows] == [(["client-01"], 5)] * 2
    events = (tmp_path / "run" / "events.jsonl").read_text()
    assert reason in events
    if fault == "infinite":
        assert "infinite values in the column b" in events
    everything = events + ended.stdout + ended.stderr
    assert "secret row" not in everything
    assert "Traceback" not in everything


def test_too_few_replies_stop_the_run_with_exit_code_1_and_it_can_be_resumed(tmp_path, calyx):
    ended = calyx("simulate", *BROKEN, "task.fault=raise", "task.victims=3", "hydra.run.dir=run")
    assert ended.returncode == 1
    assert "3 clients are left, and 5 are needed" in ended.stderr
    assert ended.stderr.count("calyx: ") == 1
    events = [e["event"] for e in read_lines(tmp_path / "run" / "events.jsonl")]
    assert (events.count("retry"), events.count("stopped")) == (1, 1)
    assert not (tmp_path / "run" / "summary.json").exists()
    assert (
        calyx("resume", "run", "retries=0").returncode == 1
    )  # the clients are as broken as before


def test_no_client_that_can_train_is_a_users_mistake(tmp_path, calyx):
    ended = calyx("simulate", *BROKEN, "task.fault=empty", "task.victims=6", "hydra.run.dir=run")
    assert ended.returncode == 2
    assert "No client can train" in ended.stderr
    unreadable = calyx("simulate", *BROKEN, "task.fault=unreadable", "hydra.run.dir=run")
    assert (unreadable.returncode, "is not there" in unreadable.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_the_display_is_live_and_the_table_stays(tmp_path):
    child = pexpect.spawn(
        calyx_command("simulate")[0],
        ["simulate", *SMALL, "hydra.run.dir=run"],
        cwd=str(tmp_path),
        env=environment() | {"TERM": "xterm-256color"},
        dimensions=(30, 100),
        timeout=60,
        encoding="utf-8",
    )
    child.expect("rounds")
    child.expect("val_loss")
    child.expect("accuracy on everybody's test rows")
    child.expect("federated")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
