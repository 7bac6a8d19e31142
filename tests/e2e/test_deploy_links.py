"""Links that are down in the middle of a run of four sites, none of which can be spared."""

import time

import pytest
from support.machines import NEEDS_HEART, TRAINING, Hospitals, Lines

from benchmarks.fleet import wait_for
from calyx.files.plain import read_lines

pytestmark = [pytest.mark.e2e, NEEDS_HEART]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with Hospitals(tmp_path_factory.mktemp("links")) as made:
        made.serve()
        made.join()
        yield made


def test_links_that_are_down_for_20_seconds_and_until_it_is_noticed_are_waited_for(deployment):
    if deployment.network is None:
        pytest.skip(deployment.why_loopback)
    lines = Lines(deployment, "va")
    run = deployment.under_way("submit", "--roster=r.json", *TRAINING, "hydra.run.dir=down")
    lines.wait_answered("query.share")
    for name in ("va", "hungarian"):
        deployment.network.set_link(name, "down")
    time.sleep(20)
    deployment.network.set_link("hungarian", "up")
    events = deployment.folder / "down" / "events.jsonl"
    # After about a minute the run notices that one is away.
    wait_for(lambda: events.exists() and "client-dropped" in events.read_text(), 180)
    deployment.network.set_link("va", "up")
    lines.wait("the server answers again")
    assert run.wait(timeout=300) == 0, deployment.said("operator")
    assert deployment.summary("down")["model_sha256"] == deployment.simulated()
    gone = {row["client"] for row in read_lines(events) if "not connected" in row.get("reason", "")}
    assert gone == {"va"}  # of the other one nobody noticed
