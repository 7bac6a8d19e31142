"""The engine `ray` as a user runs it: the embedded engine's bytes, mistakes, Ctrl-C, no process left."""

import json
import os
import signal
import subprocess
import time
import uuid
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.program import calyx_command, environment

from calyx.files import read_lines

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed"),
]
HEART = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "heart"
TASK = (
    ["task=heart", f"task.data_dir={HEART}"]
    if HEART.is_dir()
    else ["task.num_clients=6", "training.epochs=1"]
)
RUN = ["simulate", *TASK, "rounds=3", "baselines=false", "hydra.run.dir=run"]


@pytest.fixture
def marked():
    """An environment that the processes of this test inherit; afterwards none of them is left."""
    mark = uuid.uuid4().hex
    yield environment() | {"CALYX_TEST_MARK": mark}
    assert not processes_with(mark)


def processes_with(mark):
    """Live processes that inherited the mark, after they have had time to go."""
    until = time.monotonic() + 20
    while (found := _processes_with(mark.encode())) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def _processes_with(mark):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes())
        except OSError:
            continue  # it has ended, or is another user's
    return found


def program(folder, settings, *arguments):
    return subprocess.run(
        calyx_command(*arguments),
        cwd=folder,
        env=settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def start(folder, settings, *arguments):
    return subprocess.Popen(
        calyx_command(*arguments),
        cwd=folder,
        env=settings,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_stopped_and_resumed_run_has_the_embedded_engines_bytes(tmp_path, marked):
    here, there = tmp_path / "embedded", tmp_path / "ray"
    here.mkdir()
    there.mkdir()
    run = start(there, marked, *RUN, "engine=ray")
    other = start(here, marked, *RUN)
    while run.poll() is None and not read_lines(there / "run" / "rounds.jsonl"):
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, errors = run.communicate(timeout=60)
    assert (run.returncode, "calyx resume" in errors) == (130, True), errors
    assert errors.count("\n") == 1
    assert not processes_with(marked["CALYX_TEST_MARK"])

    assert other.wait(60) == 0
    expected = summary(here / "run")
    ended = program(there, marked, "resume", "run")
    assert ended.returncode == 0, ended.stderr
    found = summary(there / "run")
    assert found["model_sha256"] == expected["model_sha256"]
    assert (found["engine"], found["rounds"]) == ("ray", 3)
    assert "ray" not in ended.stderr.lower()
    names = [{p.name for p in (side / "run").iterdir()} for side in (here, there)]
    assert names[0] - names[1] == {"clients.jsonl"}
    assert not names[1] - names[0]
    rows = [read_lines(side / "run" / "rounds.jsonl") for side in (here, there)]
    for one, two in zip(*rows, strict=True):
        assert one | {"seconds": 0} == two | {"seconds": 0}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("engine.workers=0", "engine.workers is 0"),
        ("engine.port=1", "no config key engine.port"),
        ("privacy.groups=99", "needs at least as many clients"),
    ],
)
def test_a_refused_config_is_one_sentence_and_leaves_nothing(tmp_path, marked, override, words):
    ended = program(tmp_path, marked, "simulate", "engine=ray", override)
    assert (ended.returncode, words in ended.stderr) == (2, True), ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_answer_is_how_to_install_it(tmp_path, marked):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text("import sys\nsys.modules['ray'] = None\n")
    ended = program(
        tmp_path,
        marked | {"PYTHONPATH": str(tmp_path / "path")},
        "simulate",
        "engine=ray",
        "hydra.run.dir=run",
    )
    assert ended.stderr == "calyx: engine=ray needs the extra: pip install 'calyx[ray]'.\n"
    assert ended.returncode == 2
    assert not (tmp_path / "run").exists()
