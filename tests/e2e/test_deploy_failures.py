"""Machines that fail in the middle of a run of four sites, none of which can be spared."""

import os
import signal

import pytest
from support.machines import NEEDS_HEART, TRAINING, Hospitals, Lines, children

pytestmark = [pytest.mark.e2e, NEEDS_HEART]
SUBMIT = ("submit", "--roster=r.json", *TRAINING)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with Hospitals(tmp_path_factory.mktemp("failures")) as made:
        made.serve()
        made.join()
        yield made


def test_a_site_killed_in_each_stage_is_back_under_its_own_name_and_the_bytes_are_the_same(
    deployment,
):
    node = deployment.said("va").split("as node ")[-1].split()[0]
    lines = Lines(deployment, "va")
    run = deployment.under_way(*SUBMIT, "rounds=2", "retries=4", "hydra.run.dir=killed")
    # After what it answered last it is killed: before orders, shares, masks, consents, reveals.
    for done in ("query.name", "train", "query.share", "query.mask", "query.consent"):
        lines.wait_answered(done)
        deployment.kill("va")
        deployment.start_site("va", "va.yaml")
        lines.wait("connected to")
    assert run.wait(timeout=300) == 0, deployment.said("operator")
    assert deployment.said("va").split("as node ")[-1].split()[0] == node
    assert deployment.summary("killed")["model_sha256"] == deployment.simulated("rounds=2")


def test_after_a_kill_of_the_superexec_the_run_can_be_resumed_to_the_same_bytes(deployment):
    lines = Lines(deployment, "va")
    run = deployment.under_way(*SUBMIT, "seed=2", "hydra.run.dir=cut")
    lines.wait_answered("query.mask")
    os.kill(pid_of(deployment, "flower-superexec"), signal.SIGKILL)
    assert run.wait(timeout=120) == 1
    assert "calyx resume" in deployment.said("operator")
    assert "superexec had ended" in deployment.said("server")
    deployment.calyx("resume", "cut", *deployment.where, timeout=300)
    assert deployment.summary("cut")["model_sha256"] == deployment.simulated("seed=2")


def test_after_a_kill_of_the_superlink_the_run_goes_on_by_itself(deployment):
    lines = Lines(deployment, "va")
    run = deployment.under_way(*SUBMIT, "seed=3", "hydra.run.dir=link")
    lines.wait_answered("query.share")
    os.kill(pid_of(deployment, "flower-superlink"), signal.SIGKILL)
    assert run.wait(timeout=300) == 0, deployment.said("operator")
    assert deployment.summary("link")["model_sha256"] == deployment.simulated("seed=3")
    said = deployment.said("va")
    assert said.count("does not answer") == said.count("the server answers again") <= 2


def pid_of(deployment, program):
    """Of a process that this deployment's server started."""
    started = children(deployment.processes["server"])
    [found] = [pid for pid, words in started.items() if program in words]
    return found
