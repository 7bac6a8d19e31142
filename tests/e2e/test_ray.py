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
from support.program import calyx_command, environment, run_here

from calyx.files.plain import read_lines
from calyx.words.extras import advise_extra

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
ALL = ["preprocessing=federated", "cv.k=2"]
RUN = ["simulate", *TASK, *ALL, "rounds=2", "baselines=false", "hydra.run.dir=run"]


@pytest.fixture
def marked():
    """An environment that the processes of this test inherit; afterwards none of them is left."""
    mark = uuid.uuid4().hex
    dead = (
        "http://127.0.0.1:9"  # a company's proxy, which is not meant for this machine's own calls
    )
    proxies = {"http_proxy": dead, "https_proxy": dead, "all_proxy": "socks5://127.0.0.1:9"}
    yield environment() | proxies | {"CALYX_TEST_MARK": mark}
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
    assert run_here(here, *RUN).returncode == 0
    run = start(there, marked, *RUN, "engine=ray")
    while run.poll() is None and not read_lines(there / "run" / "rounds.jsonl"):
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, errors = run.communicate(timeout=60)
    assert (run.returncode, "calyx resume" in errors) == (130, True), errors
    assert errors.count("\n") == 1
    assert not processes_with(marked["CALYX_TEST_MARK"])

    again = start(there, marked, "resume", "run", "engine.workers=1")
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert "ray" not in errors.lower()
    expected, found = summary(here / "run"), summary(there / "run")
    assert (found["engine"], found["rounds"]) == ("ray", 2)
    for key in ("model_sha256", "cv", "test_client_sd", "test_calibration_error"):
        assert found[key] == expected[key]
    names = [{p.name for p in (side / "run").iterdir()} for side in (here, there)]
    assert names[0] - names[1] == {"clients.jsonl"}
    assert not names[1] - names[0]
    audits = [(side / "run" / "audit.json").read_bytes() for side in (here, there)]
    assert audits[0] == audits[1]
    rows = [read_lines(side / "run" / "rounds.jsonl") for side in (here, there)]
    for one, two in zip(*rows, strict=True):
        assert one | {"seconds": 0} == two | {"seconds": 0}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("engine.workers=0", "engine.workers is 0"),
        ("engine.port=1", "no config key engine.port"),
    ],
)
def test_a_refused_config_is_one_sentence_and_leaves_nothing(tmp_path, calyx, override, words):
    ended = calyx("simulate", "engine=ray", override)
    assert (ended.returncode, words in ended.stderr) == (2, True), ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_answer_is_how_to_install_it(tmp_path, calyx, monkeypatch):
    monkeypatch.setattr("calyx.simulation.engine.find_spec", lambda _: None)
    monkeypatch.chdir(tmp_path)  # the script is named from there
    ended = calyx("simulate", "engine=ray", "hydra.run.dir=run")
    assert ended.stderr == f"calyx: engine=ray needs the extra ray: {advise_extra('ray')}\n"
    assert ended.returncode == 2
    assert list(tmp_path.iterdir()) == []
