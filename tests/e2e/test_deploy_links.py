"""Links that are down in the middle of a run of four sites, none of which can be spared."""

import time

import pytest
from support.machines import NEEDS_HEART, TRAINING, Hospitals, Lines

from calyx.files.plain import read_lines

pytestmark = [pytest.mark.e2e, NEEDS_HEART]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with Hospitals(tmp_path_factory.mktemp("links")) as made:
        made.serve()
        made.join()
        yield made


def test_links_that_are_down_for_20_and_for_90_seconds_are_waited_for(deployment):
    if deployment.network is None:
        pytest.skip(deployment.why_loopback)
    lines = Lines(deployment, "va")
    run = deployment.under_way("submit", "--roster=r.json", *TRAINING, "hydra.run.dir=down")
    lines.wait_answered("query.share")
    for name in ("va", "hungarian"):
        deployment.network.set_link(name, "down")
    time.sleep(20)
    deployment.network.set_link("hungarian", "up")
    time.sleep(70)
    deployment.network.set_link("va", "up")
    lines.wait("the server answers again")
    assert run.wait(timeout=300) == 0, deployment.said("operator")
    assert deployment.summary("down")["model_sha256"] == deployment.simulated()
    events = read_lines(deployment.folder / "down" / "events.jsonl")
    gone = {row["client"] for row in events if "not connected" in row.get("reason", "")}
    assert gone == {"va"}  # of the other one nobody noticed
