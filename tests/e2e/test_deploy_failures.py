"""Machines and links that fail in the middle of a run of four sites, none of which can be spared."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.program import calyx_command

from benchmarks.fleet import Fleet, wait_for
from calyx.files import read_lines

HEART = Path(__file__).resolve().parents[3] / "shared" / "data" / "heart"
SITES = ("cleveland", "hungarian", "switzerland", "va")
RUN = ("task=heart", f"task.data_dir={HEART}", "baselines=false")

pytestmark = pytest.mark.skipif(not HEART.is_dir(), reason="../shared/data/heart is not here")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with Fleet(tmp_path_factory.mktemp("failures"), SITES, HEART) as made:
        made.serve()
        made.join()
        yield made


def model(deployment, run):
    return json.loads((deployment.folder / run / "summary.json").read_text())["model_sha256"]


def simulated(deployment, *overrides):
    run = f"simulated-{'-'.join(overrides).replace('=', '')}"
    deployment.calyx("simulate", *RUN, *overrides, f"hydra.run.dir={run}")
    return model(deployment, run)


def submitted(deployment, *arguments):
    """`calyx submit` or `calyx resume`, under way."""
    words = calyx_command(*arguments[:1], *deployment.where, *arguments[1:])
    return deployment.start("submit", words)


class Lines:
    """Waits for what a log says next."""

    def __init__(self, deployment, name):
        self._deployment, self._name = deployment, name
        self._at = len(deployment.said(name))

    def wait(self, text, seconds=120):
        wait_for(lambda: text in self._deployment.said(self._name)[self._at :], seconds)
        self._at += self._deployment.said(self._name)[self._at :].index(text) + len(text)


def test_a_site_killed_in_each_stage_is_back_under_its_own_name_and_the_bytes_are_the_same(
    deployment,
):
    node = deployment.said("va").split("as node ")[1].split()[0]
    lines = Lines(deployment, "va")
    run = submitted(
        deployment, "submit", "--roster=r.json", *RUN, "rounds=5", "hydra.run.dir=killed"
    )
    # After what it answered last it is killed: before orders, shares, masks, consents, reveals.
    for done in ("query.name", "train", "query.share", "query.mask", "query.consent"):
        lines.wait(f"{done:<16}answered")
        deployment.kill("va")
        deployment.start_site("va", "va.yaml")
        lines.wait("connected to")
        lines.wait(f"{'query.reveal':<16}answered") if done != "query.consent" else None
    assert run.wait(timeout=300) == 0, deployment.said("submit")
    assert set(deployment.said("va").split("as node ")[1:][-1].split()[:1]) == {node}
    assert model(deployment, "killed") == simulated(deployment, "rounds=5")


def test_after_a_kill_of_the_superexec_the_run_can_be_resumed_to_the_same_bytes(deployment):
    lines = Lines(deployment, "va")
    arguments = ("--roster=r.json", *RUN, "rounds=3", "seed=2", "hydra.run.dir=cut")
    run = submitted(deployment, "submit", *arguments)
    lines.wait(f"{'query.reveal':<16}answered")
    lines.wait(f"{'query.mask':<16}answered")
    os.kill(pid_of(deployment, "flower-superexec"), signal.SIGKILL)
    assert run.wait(timeout=120) == 1
    assert "calyx resume" in deployment.said("submit")
    assert "superexec had ended" in deployment.said("server")
    deployment.calyx("resume", "cut", *deployment.where, timeout=300)
    assert model(deployment, "cut") == simulated(deployment, "rounds=3", "seed=2")


def test_after_a_kill_of_the_superlink_the_run_goes_on_by_itself(deployment):
    lines = Lines(deployment, "va")
    arguments = ("--roster=r.json", *RUN, "rounds=2", "seed=3", "hydra.run.dir=link")
    run = submitted(deployment, "submit", *arguments)
    lines.wait(f"{'query.share':<16}answered")
    os.kill(pid_of(deployment, "flower-superlink"), signal.SIGKILL)
    assert run.wait(timeout=300) == 0, deployment.said("submit")
    assert model(deployment, "link") == simulated(deployment, "rounds=2", "seed=3")
    said = deployment.said("va")
    assert said.count("does not answer") == said.count("the server answers again") <= 2


def test_links_that_are_down_for_20_and_for_90_seconds_are_waited_for(deployment):
    if deployment.network is None:
        pytest.skip(deployment.why_loopback)
    lines = Lines(deployment, "va")
    arguments = ("--roster=r.json", *RUN, "rounds=1", "seed=4", "hydra.run.dir=down")
    run = submitted(deployment, "submit", *arguments)
    lines.wait(f"{'query.share':<16}answered")
    for name in ("va", "hungarian"):
        deployment.network.set_link(name, "down")
    time.sleep(20)
    deployment.network.set_link("hungarian", "up")
    time.sleep(70)
    deployment.network.set_link("va", "up")
    lines.wait("the server answers again")
    assert run.wait(timeout=300) == 0, deployment.said("submit")
    assert model(deployment, "down") == simulated(deployment, "rounds=1", "seed=4")
    events = read_lines(deployment.folder / "down" / "events.jsonl")
    gone = {row["client"] for row in events if "not connected" in row.get("reason", "")}
    assert gone == {"va"}  # of the other one nobody noticed


def test_ctrl_c_ends_everything_that_the_server_started(deployment):
    parent = deployment.processes["server"].pid
    children = [pid for pid, (above, _) in processes().items() if above == parent]
    assert len(children) >= 2
    deployment.down()
    assert deployment.processes["server"].returncode in (0, 130)
    wait_for(lambda: not processes().keys() & set(children), 15)


def processes():
    """Parent and command line of every process, by id."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="],  # however narrow the terminal is said to be
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return {int(pid): (int(above), words) for pid, above, words in rows if "<defunct>" not in words}


def pid_of(deployment, program):
    """Of a process that this deployment's server started."""
    parent = deployment.processes["server"].pid
    [found] = [
        p for p, (above, words) in processes().items() if above == parent and program in words
    ]
    return found
