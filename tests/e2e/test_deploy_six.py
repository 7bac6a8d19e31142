"""Six sites, of which one dies for good in the middle of a round: the run goes on without it."""

import json

import pytest

from benchmarks.fleet import Fleet, wait_for
from calyx.files import read_lines

SITES = tuple(f"client-{i:02d}" for i in range(6))
RUN = ("task.num_clients=6", "rounds=2", "baselines=false", "hydra.run.dir=run")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with Fleet(tmp_path_factory.mktemp("six"), SITES, None) as made:
        made.serve()
        made.join()
        yield made


def test_a_site_that_dies_for_good_is_dropped_and_the_run_goes_on(fleet):
    options = ("submit", *fleet.where, "--roster=r.json", *RUN)
    run = fleet.start("submit", fleet.program(options))
    dead = SITES[2]
    wait_for(lambda: "query.share     answered" in fleet.said(dead), 120)
    node = fleet.said(dead).split("as node ")[1].split()[0]
    fleet.kill(dead)
    assert run.wait(timeout=300) == 0, fleet.said("submit")
    rows = read_lines(fleet.folder / "run" / "rounds.jsonl")
    assert len(rows) == 2
    assert rows[-1]["dropped"] == [dead]
    assert rows[-1]["replies"] == 5
    events = read_lines(fleet.folder / "run" / "events.jsonl")
    assert {row["client"] for row in events if row["event"] == "client-dropped"} == {dead}
    assert json.loads((fleet.folder / "run" / "summary.json").read_text())["privacy"] == "secagg"
    fleet.start_site(dead, f"{dead}.yaml")
    wait_for(lambda: fleet.said(dead).count("connected to") == 2)
    assert fleet.said(dead).split("as node ")[-1].split()[0] == node
