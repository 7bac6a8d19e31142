"""The program as a user runs it: a run, a crash, a resume, clients that fail."""

import hashlib
import json
import os
import re
import shlex
import shutil
import time

import pexpect
import pytest
import yaml
from support.begun import Begun, wait_for_rounds, wait_until
from support.csv_files import write_folder
from support.program import BROKEN, FAULTY, SMALL, calyx_command, environment, run_apart, run_here

from calyx.files.plain import read_lines

pytestmark = pytest.mark.e2e

RUN = ["simulate", *SMALL, "rounds=5", "strategy=fedopt", "hydra.run.dir=run"]


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def model_hash(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def curve(folder):
    return [(row["round"], row["val_loss"]) for row in read_lines(folder / "rounds.jsonl")]


def test_two_runs_by_one_clock_in_the_home_folder_have_two_folders_and_can_be_resumed(
    calyx, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    rows = write_folder(tmp_path / "home" / "rows (1)")
    one = ["simulate", "task=csv", "task.data_dir=~/rows (1)", "rounds=1", "baselines=false"]
    for seed in (1, 2):
        ended = calyx(
            *one, "hydra.run.dir='~/my runs/${now:%Y}'", "engine.workers=0", f"seed={seed}"
        )
        assert ended.returncode == 0, ended.stderr
    said = re.search("the best round was the last of 1; more may help: calyx (.*)\n", ended.stdout)[
        1
    ]
    first, second = sorted((tmp_path / "home" / "my runs").iterdir())
    assert second.name == f"{first.name}-2"
    assert [yaml.safe_load((f / "config.yaml").read_text())["seed"] for f in (first, second)] == [
        1,
        2,
    ]
    advice = re.search("`calyx (resume .*)`", calyx("resume", str(first)).stderr)[1]
    assert said == advice.replace(str(first), str(second))  # at the end of a run and when asked
    assert calyx(*shlex.split(advice)).returncode == 0
    assert len(read_lines(first / "rounds.jsonl")) == 2
    moved = rows.rename(rows.with_name("größe"))
    again = ("resume", f"~/my runs/{second.name}", "rounds=2", "task.data_dir=~/größe")
    assert calyx(*again).returncode == 0
    found = yaml.safe_load((second / "config.yaml").read_text())
    assert (found["rounds"], found["task"]["data_dir"]) == (2, str(moved))
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_heart_runs_from_a_folder_relative_to_here(calyx, tmp_path, heart_dir):
    os.symlink(heart_dir, tmp_path / "heart")
    ended = calyx("simulate", "task=heart", "task.data_dir=heart", "rounds=4", "hydra.run.dir=out")
    assert ended.returncode == 0, ended.stderr
    figures = summary(tmp_path / "out")
    assert figures["test_accuracy"] > figures["baselines"]["local_mean"] + 0.05
    events = read_lines(tmp_path / "out" / "events.jsonl")
    hidden = [e for e in events if (e["client"], e.get("column")) == ("switzerland", "chol")]
    assert [(e["event"], e["count"]) for e in hidden] == [("finding", 123), ("coded", 123)]
    assert hidden[1]["message"].endswith("they are coded as the same number at all clients.")
    assert "data_dir" not in json.dumps(figures)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was never stopped."""
    path = tmp_path_factory.mktemp("whole")
    ended = run_here(path, *RUN)
    assert ended.returncode == 0, ended.stderr
    return path / "run"


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(tmp_path, calyx, whole):
    folder = tmp_path / "run"
    with Begun(tmp_path, *RUN) as run:
        wait_until((folder / "checkpoints" / "round-000000").exists, "the run never began")
        run.kill()
    for rounds in (1, 3):
        with Begun(tmp_path, "resume", "run") as run:
            wait_for_rounds(folder, rounds)
            run.kill()
    ended = calyx("resume", "run")
    assert ended.returncode == 0, ended.stderr
    assert model_hash(folder) == model_hash(whole)
    assert curve(folder) == curve(whole)
    kinds = [
        [(r["kind"], r["round"], r["client"]) for r in read_lines(f / "clients.jsonl")]
        for f in (folder, whole)
    ]
    assert sorted(kinds[0]) == sorted(kinds[1])


def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(tmp_path, calyx, whole):
    with Begun(tmp_path, *RUN) as run:
        wait_for_rounds(tmp_path / "run", 2)
        ended = run.interrupt()
    assert ended.returncode == 130
    assert "calyx resume" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert calyx("resume", "run").returncode == 0
    assert model_hash(tmp_path / "run") == model_hash(whole)
    assert curve(tmp_path / "run") == curve(whole)


def test_ctrl_c_within_a_batch_that_never_ends(tmp_path, monkeypatch):
    hangs, sleep = tmp_path / "hangs", time.sleep
    monkeypatch.setattr(time, "sleep", lambda s: (s > 60 and hangs.touch()) or sleep(s))
    with Begun(tmp_path, "simulate", *BROKEN, "task.fault=hang", "hydra.run.dir=run") as run:
        wait_until(hangs.exists, "no client ever hung")
        assert run.interrupt().returncode == 130


def test_resume_refuses_what_it_cannot_go_on_with(tmp_path, calyx, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    before = model_hash(folder)
    ended = calyx("resume", "run")
    assert (ended.returncode, "is finished after 5 rounds" in ended.stderr) == (2, True)
    assert calyx("resume", "run", "rounds=4").returncode == 2
    assert "cannot change" in calyx("resume", "run", "seed=5").stderr
    assert "is a simulation" in calyx("resume", "run", "rounds=6", "--roster=r.json").stderr
    assert "is this run itself" in calyx("resume", "run", "rounds=6", "audit.baseline=run").stderr
    assert (model_hash(folder), (folder / "summary.json").exists()) == (before, True)
    longer = calyx("resume", "run", "rounds=6")
    assert longer.returncode == 0, longer.stderr
    assert summary(folder)["rounds"] == 6

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
    folder = shutil.copytree(whole, tmp_path / "run")
    for file in ("summary.json", "report.html", "model.safetensors"):  # as if killed before them
        (folder / file).unlink()
    for newest in (folder / "checkpoints").glob("round-000005*"):
        (newest / "weights.safetensors").write_bytes(b"garbage")
    assert calyx("resume", "run").returncode == 0
    assert model_hash(folder) == model_hash(whole)
    assert curve(folder) == curve(whole)
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
        "simulate", *BROKEN, f"task.fault={fault}", "deadline_s=2", "hydra.run.dir=run", "rounds=1"
    )
    assert ended.returncode == 0, ended.stderr
    (row,) = read_lines(tmp_path / "run" / "rounds.jsonl")
    assert (row["dropped"], row["replies"]) == (["client-01"], 5)
    events = (tmp_path / "run" / "events.jsonl").read_text()
    told = ended.stdout.replace("\n", " ")
    assert reason in events
    if fault == "crash":
        assert "warning: client-01 is asked again: its worker process died (signal 9)." in told
        assert '"event":"worker-died"' in events.replace(": ", ":")
    if fault == "infinite":
        assert "infinite values in the column b" in events
    assert "Traceback" not in events + told + ended.stderr
    assert "absent  client-01 took part in 0 of 1 rounds: " in told
    if fault == "raise":  # in simulation both machines are one person's: the text is shown, once
        lines = (FAULTY / "faulty_task.py").read_text().splitlines()
        (line,) = [i for i, text in enumerate(lines, 1) if "secret row" in text]
        cause = f"RuntimeError: secret row 1234 (faulty/faulty_task.py, line {line})"
        assert told.count(f"warning: client-01: {cause}.") == 1
        assert summary(tmp_path / "run")["absentees"] == {
            "client-01": {"took_part": 0, "asked": 1, "why": cause}
        }
        assert cause in (tmp_path / "run" / "report.html").read_text()


def test_a_task_that_no_forked_process_can_use_is_trained_in_workers_that_are_started_afresh(
    tmp_path, monkeypatch
):
    """Its import starts a thread, which its rows come from; the models are those without workers."""
    threaded = FAULTY.parent / "threaded"
    paths = [str(threaded), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    words = ("simulate", "--config-dir", str(threaded / "conf"), "task=threaded", "rounds=1")
    for workers in (0, 2):
        apart = (f"engine.workers={workers}", f"hydra.run.dir=run-{workers}", "baselines=false")
        ended = run_apart(tmp_path, *words, *apart, f"profile={workers > 0}".lower())
        assert ended.returncode == 0, ended.stderr
        told = " ".join(ended.stdout.split())
        assert ("has started (bringer)" in told) == (workers > 0)
    assert model_hash(tmp_path / "run-2") == model_hash(tmp_path / "run-0")
    lanes = {row["lane"] for row in read_lines(tmp_path / "run-2" / "profile.jsonl")}
    assert lanes >= {"server", "worker 1", "worker 2"}


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
