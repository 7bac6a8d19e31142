"""Clients on separate machines, for real: a server and four sites in network namespaces, TLS, node
keys, encryption; and a fifth machine that only holds the CA's certificate."""

import json
from pathlib import Path

import pytest
from deployment import Deployment

ROOT = Path(__file__).resolve().parents[2]
HEART = ROOT.parent / "shared" / "data" / "heart"
SITES = ("cleveland", "hungarian", "switzerland", "va")
RUN = ("task=heart", f"task.data_dir={HEART}", "rounds=2", "baselines=false")
BOUNDS = {
    "task.*": "any",
    "strategy.*": "any",
    "training.*": "any",
    "training.lr": {"max": 0.1},
    "preprocessing.*": "any",
    "privacy.*": "any",
    "seed": "any",
    "rounds": "any",
    "deadline_s": "any",
}

pytestmark = pytest.mark.skipif(not HEART.is_dir(), reason="../shared/data/heart is not here")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with Deployment(tmp_path_factory.mktemp("deployment"), SITES, HEART) as made:
        made.serve()
        for name in SITES:
            made.join(name, made.site_file(name, policy={"bounds": BOUNDS}))
        yield made


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def refused_by_all(deployment, code):
    return all(f"{code}" in deployment.said(name) for name in deployment.sites)


def test_four_sites_give_the_bytes_of_a_simulation_and_answer_for_a_model_once(deployment):
    said = deployment.submit(*RUN, "hydra.run.dir=run")
    found = summary(deployment.folder / "run")
    assert (found["engine"], found["privacy"], found["rounds"]) == ("superlink", "secagg", 2)
    assert "round 2 " in said
    deployment.calyx("simulate", *RUN, "hydra.run.dir=simulated")
    assert found["model_sha256"] == summary(deployment.folder / "simulated")["model_sha256"]
    for name in SITES:
        state = deployment.folder / f"state-{name}"
        assert state.stat().st_mode & 0o077 == 0
        assert "vector" in (state / "ledger.jsonl").read_text()
    # The same start weights again: each site has answered for them.
    refused = deployment.submit(*RUN, "hydra.run.dir=again", "retries=0", code=1)
    assert "another seed" in refused
    assert refused_by_all(deployment, "second-vector")
    assert "Traceback" not in refused
