"""Clients on separate machines, for real: a server and four sites in network namespaces, TLS, node
keys, encryption; and a fifth machine that only holds the CA's certificate."""

import json
import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from support.intruder import CLOSED

from benchmarks.fleet import INTRUDER, Fleet, wait_for
from calyx.composing import compose, resolved
from calyx.config import RunConfig, parse
from calyx.flower import FLEET_PATHS
from calyx.installed import PACKAGES
from calyx.order import run_digest
from calyx.registry import load_task
from server.checkpoints import RunState, save
from server.folder import RunFolder
from server.work import initial_weights

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
    "statistics.*": "any",
    "cv.k": "any",
    "seed": "any",
    "rounds": "any",
    "deadline_s": "any",
}

SUPPORT = ROOT / "tests" / "support"

pytestmark = pytest.mark.skipif(not HEART.is_dir(), reason="../shared/data/heart is not here")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with Fleet(tmp_path_factory.mktemp("deployment"), SITES, HEART) as made:
        made.serve()
        made.join(bounds=BOUNDS)
        yield made


@pytest.fixture(scope="module")
def other_code(deployment):
    """A copy of the project with one byte changed, and how to run it."""
    folder = deployment.folder / "other-code"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    path = folder / "client" / "training.py"
    path.write_bytes(path.read_bytes()[:-1] + b" ")  # the last newline
    return {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def said_by_all(deployment, code, count=1):
    return all(deployment.said(name).count(code) >= count for name in SITES)


def test_four_sites_give_the_bytes_of_a_simulation_and_answer_for_a_model_once(deployment):
    whole = (*RUN, "preprocessing=federated", "cv.k=2")
    said = deployment.submit(*whole, "hydra.run.dir=run")
    found = summary(deployment.folder / "run")
    assert (found["engine"], found["privacy"], found["rounds"]) == ("superlink", "secagg", 2)
    assert "round 2 " in said
    for engine in ("embedded", "ray") if find_spec("ray") else ("embedded",):
        deployment.calyx("simulate", *whole, f"engine={engine}", f"hydra.run.dir={engine}")
        simulated = summary(deployment.folder / engine)
        for key in ("model_sha256", "cv", "test_client_sd", "test_calibration_error"):
            assert found[key] == simulated[key]
        audits = [
            (deployment.folder / name / "audit.json").read_bytes() for name in ("run", engine)
        ]
        assert audits[0] == audits[1]
    for name in SITES:
        state = deployment.folder / f"state-{name}"
        assert state.stat().st_mode & 0o077 == 0
        assert "vector" in (state / "ledger.jsonl").read_text()
    # The same start weights again: each site has answered for them. Its statistics were kept.
    refused = deployment.submit(*whole, "hydra.run.dir=again", "retries=0", code=1)
    assert "Submit it with another seed" in refused
    assert "second-vector: the site has answered for this model before" in refused
    assert said_by_all(deployment, "second-vector")
    assert "Traceback" not in refused
    kept = (deployment.folder / "again" / "events.jsonl").read_text()
    assert '"audit-kept"' in kept
    assert (deployment.folder / "again" / "audit.json").read_bytes() == audits[0]


def test_a_value_that_a_sites_policy_does_not_list_is_refused_by_every_site(deployment):
    refused = deployment.submit(
        *RUN, "seed=2", "training.lr=0.5", "retries=0", "hydra.run.dir=lr", code=1
    )
    assert "outside-policy: the order, its rules or the roster" in refused
    assert said_by_all(deployment, "outside-policy")
    assert "training.lr is 0.5" in (deployment.folder / "state-va" / "events.jsonl").read_text()


def test_another_initial_model_is_refused_by_every_site(deployment):
    """A hostile server begins round 1 with weights of its own."""
    config = resolved(compose([*RUN, "seed=3", "retries=0", "engine=superlink"]))
    run, folder = parse(RunConfig, config, ""), RunFolder(deployment.folder / "planted")
    own = {k: v + 0.5 for k, v in initial_weights(run, load_task(run.task)).items()}
    state = RunState("planted", run_digest(run, config), 0, own, {}, None)
    folder.write_config(config)
    save(folder.checkpoints, state, 3)
    arguments = ("planted", *deployment.where, "--roster=r.json")
    said = deployment.calyx("resume", *arguments, code=1)
    assert "weights-refused: the weights are not those" in said
    assert said_by_all(deployment, "weights-refused")


def test_a_run_with_other_code_is_refused_by_every_site_and_the_operator_sees_why(
    deployment, other_code
):
    # Every installed file counts: one byte is enough.
    said = deployment.submit(*RUN, "seed=4", "hydra.run.dir=byte", code=1, env=other_code)
    assert "bundle-refused: the run was submitted with other code" in said
    assert said_by_all(deployment, "bundle-refused")
    # A bundle that brings code of its own is never fetched, and never unpacked.
    before = deployment.said("va").count("bundle-refused")
    listed = deployment.script(
        SUPPORT / "other_code.py", deployment.control, "r.json", *RUN, "seed=4"
    )
    run_id, status, _, details = json.loads(listed.splitlines()[-1])
    assert status == "finished"
    assert "bundle-refused" in details
    assert said_by_all(deployment, "bundle-refused", before + 1)
    listed = deployment.calyx("runs", *deployment.where)
    assert str(run_id) in listed
    assert all(f"{name} online" in listed for name in SITES)
    assert "has ended already" in deployment.calyx("stop", *deployment.where, str(run_id), code=2)
    assert "There is no run 7" in deployment.calyx("stop", *deployment.where, "7", code=2)
    away = ("--control-port=9", deployment.where[1])
    assert "does not answer" in deployment.calyx("runs", *away, code=1)


def test_a_site_with_a_changed_file_or_an_older_manifest_does_not_connect(deployment, other_code):
    file = deployment.site_file("twin", client={"name": "va", "identity": "sites/va.key"})
    said = deployment.calyx("client", file, host="va", code=2, env=other_code)
    assert "is not what manifest 1 allows" in said
    state = deployment.folder / "state-twin"
    state.mkdir(exist_ok=True)
    (state / "manifest-version").write_text("2")
    said = deployment.calyx("client", file, host="va", code=2)
    assert "no way back" in said


def test_who_holds_the_certificate_only_can_do_nothing(deployment):
    address = f"{deployment.host}:{deployment.port}"
    arguments = (address, "keys/ca.crt", deployment.control)
    found = json.loads(deployment.script(SUPPORT / "intruder.py", *arguments, host=INTRUDER))
    assert {path: found[path] for path in CLOSED} == dict.fromkeys(CLOSED, 404)
    fleet = [f"/v1/fleet/{name}" for name in FLEET_PATHS]
    assert {path: found[path] for path in fleet} == dict.fromkeys(fleet, 401)
    assert found["stranger"] == "not trusted"
    if deployment.network:  # on loopback it would be the operator's own machine
        assert found["control"] == "closed"
    audit = (deployment.folder / "server-state" / "audit.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in audit]
    assert {row["status"] for row in rows} >= {200, 401, 404}


def test_a_site_whose_node_key_is_unknown_is_told_so(deployment):
    deployment.calyx("keys", "site", "stranger", "--folder", "sites")
    path = deployment.site_file("stranger")
    said = deployment.calyx("client", path, host=INTRUDER, code=2)
    assert "The roster does not name stranger" in said
    # With somebody else's place on the roster, but its own node key:
    client = {"name": "va", "identity": "sites/va.key"}
    said = deployment.calyx(
        "client", deployment.site_file("stranger", client=client), host=INTRUDER, code=1
    )
    assert "node key is not registered" in said
    assert "Traceback" not in said


def test_one_site_is_one_process(deployment):
    file = deployment.site_file("va", {"bounds": BOUNDS})
    assert "one site is one process" in deployment.calyx("client", file, host="va", code=2)
    elsewhere = deployment.site_file("copy", client={"name": "va", "identity": "sites/va.key"})
    values = yaml.safe_load((deployment.folder / elsewhere).read_text())
    values["node_key"] = "sites/va.node.key"
    (deployment.folder / elsewhere).write_text(yaml.safe_dump(values))
    said = deployment.calyx("client", elsewhere, host="va", code=1)
    assert "another process is connected" in said


def test_both_doctors_find_a_running_federation_sound(deployment):
    said = deployment.calyx("doctor", "site", "va.yaml", host="va")
    assert "This site can take part" in said
    assert "answers, with a certificate of keys/ca.crt" in said
    ports = ("--host", deployment.host, "--port", str(deployment.port))
    said = deployment.calyx("doctor", "server", *ports, "--roster", "r.json")
    assert "This server can serve" in said
    assert "is taken" in said


def test_a_key_that_was_removed_opens_nothing_and_a_new_one_does(deployment):
    """Revocation, and a new node key under the same name."""
    node = deployment.folder / "nodes" / "va.node.pub"
    node.unlink()
    deployment.processes["server"].send_signal(signal.SIGINT)
    deployment.processes["server"].wait(timeout=30)
    deployment.serve()
    assert "removed va" in deployment.said("server")
    assert deployment.processes["va"].wait(timeout=60) == 1
    assert "does not know this site's node key" in deployment.said("va")
    for kind in ("key", "pub", "node.key", "node.pub"):
        (deployment.folder / "sites" / f"va.{kind}").rename(deployment.folder / f"old.{kind}")
    deployment.calyx("keys", "site", "va", "--folder", "sites")
    node.write_bytes((deployment.folder / "sites" / "va.node.pub").read_bytes())
    for kind in ("key", "pub"):  # its identity has not changed
        (deployment.folder / f"old.{kind}").rename(deployment.folder / "sites" / f"va.{kind}")
    deployment.processes["server"].send_signal(signal.SIGINT)
    deployment.processes["server"].wait(timeout=30)
    deployment.serve()
    before = deployment.said("va").count("connected to")
    deployment.start_site("va", "va.yaml")
    wait_for(lambda: deployment.said("va").count("connected to") > before)
