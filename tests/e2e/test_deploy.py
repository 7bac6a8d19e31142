"""Clients on separate machines, for real: a server and four sites in network namespaces, TLS, node
keys, encryption; and a fifth machine that only holds the CA's certificate."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from support.intruder import CLOSED
from support.machines import NEEDS_HEART, RUN, SITES, TRAINING, Hospitals, Lines, children

from benchmarks.fleet import INTRUDER
from calyx.files.plain import read_lines
from calyx.flower.messages import FLEET_PATHS
from calyx.trust.measured import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"
BOUNDS = {
    "task.*": "any",
    "strategy.*": "any",
    "training.*": "any",
    "training.lr": {"max": 0.1},
    "preprocessing.*": "any",
    "privacy.*": "any",
    "statistics.*": "any",
    "cv.k": "any",
    "cohort_size": "any",
    "seed": "any",
    "rounds": "any",
    "deadline_s": "any",
}
PROXIES = {
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "all_proxy": "socks5://127.0.0.1:9",
    "no_proxy": "company.example",
}

pytestmark = [pytest.mark.e2e, NEEDS_HEART]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with Hospitals(tmp_path_factory.mktemp("deployment")) as made:
        made.serve(env=PROXIES)  # as it is installed, where a company's proxies are set
        # A run may ask for less than all four; and replies keep a pace, which changes no byte.
        made.join(bounds=BOUNDS, n_min=3, h_min=2, pace_s=0.2)
        yield made


@pytest.fixture(scope="module")
def other_code(deployment):
    """A copy of the project with one byte changed, and how to run it."""
    folder = deployment.folder / "other-code"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    path = folder / "client" / "learning" / "training.py"
    path.write_bytes(path.read_bytes()[:-1] + b" ")  # the last newline
    return {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def said_by_all(deployment, code, count=1):
    return all(deployment.said(name).count(code) >= count for name in SITES)


def test_four_sites_give_the_bytes_of_a_simulation_and_answer_for_a_model_once(deployment):
    whole = (*RUN, "preprocessing=federated", "cv.k=2")
    said = deployment.submit(*whole, "hydra.run.dir=run")
    found = deployment.summary("run")
    assert (found["engine"], found["privacy"], found["rounds"]) == ("superlink", "secagg", 1)
    assert "round 1 " in said
    deployment.calyx("simulate", *whole, "hydra.run.dir=simulated")
    simulated = deployment.summary("simulated")
    for key in ("model_sha256", "cv", "test_client_sd", "test_calibration_error"):
        assert found[key] == simulated[key]
    audit = (deployment.folder / "simulated" / "audit.json").read_bytes()
    assert (deployment.folder / "run" / "audit.json").read_bytes() == audit
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
    assert (deployment.folder / "again" / "audit.json").read_bytes() == audit


def test_a_value_that_a_sites_policy_does_not_list_is_refused_by_every_site(deployment):
    refused = deployment.submit(
        *TRAINING, "seed=2", "training.lr=0.5", "retries=0", "hydra.run.dir=lr", code=1
    )
    assert "outside-policy: the order, its rules or the roster" in refused
    assert said_by_all(deployment, "outside-policy")
    assert "training.lr is 0.5" in (deployment.folder / "state-va" / "events.jsonl").read_text()


def test_a_run_with_other_code_is_refused_by_every_site_and_the_operator_sees_why(
    deployment, other_code
):
    # Every installed file counts: one byte is enough.
    said = deployment.submit(*TRAINING, "seed=4", "hydra.run.dir=byte", code=1, env=other_code)
    assert "bundle-refused: the run was submitted with other code" in said
    assert said_by_all(deployment, "bundle-refused")
    # A bundle that brings code of its own is never fetched, and never unpacked.
    before = deployment.said("va").count("bundle-refused")
    listed = deployment.script(
        SUPPORT / "other_code.py", deployment.control, "r.json", *TRAINING, "seed=4"
    )
    run_id, status, _, details = json.loads(listed.splitlines()[-1])
    assert status == "finished"
    assert "bundle-refused" in details
    assert said_by_all(deployment, "bundle-refused", before + 1)
    listed = deployment.calyx("runs", *deployment.where, env=PROXIES)
    assert str(run_id) in listed
    assert all(f"{name} online" in listed for name in SITES)
    assert "has ended already" in deployment.calyx("stop", *deployment.where, str(run_id), code=2)
    assert "There is no run 7" in deployment.calyx("stop", *deployment.where, "7", code=2)
    away = ("--control-port=9", deployment.where[1])
    assert "does not answer" in deployment.calyx("runs", *away, code=1)


def test_a_site_that_dies_for_good_is_dropped_and_the_run_goes_on(deployment):
    lines = Lines(deployment, "va")
    node = deployment.said("va").split("as node ")[-1].split()[0]
    spared = ("privacy.n_min=3", "privacy.h_min=2", "seed=5", "hydra.run.dir=dead")
    run = deployment.under_way("submit", "--roster=r.json", *TRAINING, *spared, env={})
    lines.wait_answered("query.share")
    deployment.kill("va")
    assert run.wait(timeout=300) == 0, deployment.said("operator")
    rows = read_lines(deployment.folder / "dead" / "rounds.jsonl")
    assert [(row["dropped"], row["replies"]) for row in rows] == [(["va"], 3)]
    events = read_lines(deployment.folder / "dead" / "events.jsonl")
    assert {row["client"] for row in events if row["event"] == "client-dropped"} == {"va"}
    assert deployment.summary("dead")["privacy"] == "secagg"
    deployment.start("va", deployment.program(("client", "va.yaml")), "va", env={})
    lines.wait("connected to")
    assert deployment.said("va").split("as node ")[-1].split()[0] == node


def test_a_member_that_sends_nonsense_or_500_mib_in_place_of_a_reply_is_dropped(deployment):
    """With its own node key; the run goes on, and the operator's disk is not its."""
    lines = Lines(deployment, "va")
    deployment.processes["va"].send_signal(signal.SIGINT)
    deployment.processes["va"].wait(timeout=30)
    spared = ("privacy.n_min=3", "privacy.h_min=2", "seed=6", "deadline_s=15")
    run = deployment.under_way(
        "submit", "--roster=r.json", *TRAINING, *spared, "hydra.run.dir=hostile", env={}
    )
    where = (f"{deployment.host}:{deployment.port}", "keys/ca.crt", "sites/va.node.key", "va")
    said = deployment.script(SUPPORT / "hostile_member.py", *where, "nonsense", "flood", host="va")
    assert run.wait(timeout=300) == 0, deployment.said("operator")
    nonsense, flood = json.loads(said.splitlines()[-1])
    assert (nonsense, flood.pop("stored")) == ("stored", 3)  # a record; 15 of 16 MiB
    assert sum(flood.values()) == 97
    assert flood.keys() <= {"413", "cut off"}
    events = read_lines(deployment.folder / "hostile" / "events.jsonl")
    dropped = [row for row in events if row["event"] == "client-dropped"]
    assert {row["client"] for row in dropped} == {"va"}
    assert dropped[0]["reason"] == "its reply cannot be read"
    database = (deployment.folder / "server-state").glob("state.db*")
    assert sum(path.stat().st_size for path in database) < 64 * 2**20
    deployment.start("va", deployment.program(("client", "va.yaml")), "va", env={})
    lines.wait("connected to")


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
    assert "does not know this site's node key" in said
    assert "Traceback" not in said


def test_one_site_is_one_process(deployment):
    assert "one site is one process" in deployment.calyx("client", "va.yaml", host="va", code=2)
    elsewhere = deployment.site_file("copy", client={"name": "va", "identity": "sites/va.key"})
    values = yaml.safe_load((deployment.folder / elsewhere).read_text())
    values["node_key"] = "sites/va.node.key"
    (deployment.folder / elsewhere).write_text(yaml.safe_dump(values))
    said = deployment.calyx("client", elsewhere, host="va", code=1)
    assert "another process is connected" in said


def test_ctrl_c_ends_all_that_a_server_started_and_a_removed_key_opens_nothing(deployment):
    """Revocation, and a new node key under the same name."""
    server, node = deployment.processes["server"], deployment.folder / "nodes" / "va.node.pub"
    started = children(server)
    assert len(started) == 2
    lines = Lines(deployment, "va")
    node.unlink()
    restart(deployment)
    assert not any(Path("/proc", str(pid)).exists() for pid in started)
    assert server.returncode in (0, 130)
    assert "removed va" in deployment.said("server")
    assert deployment.processes["va"].wait(timeout=60) == 1
    assert "does not know this site's node key" in deployment.said("va")
    for kind in ("key", "pub", "node.key", "node.pub"):
        (deployment.folder / "sites" / f"va.{kind}").rename(deployment.folder / f"old.{kind}")
    deployment.calyx("keys", "site", "va", "--folder", "sites")
    node.write_bytes((deployment.folder / "sites" / "va.node.pub").read_bytes())
    for kind in ("key", "pub"):  # its identity has not changed
        (deployment.folder / f"old.{kind}").rename(deployment.folder / "sites" / f"va.{kind}")
    restart(deployment)
    deployment.start_site("va", "va.yaml")
    lines.wait("connected to")


def restart(deployment):
    deployment.processes["server"].send_signal(signal.SIGINT)
    deployment.processes["server"].wait(timeout=30)
    deployment.serve()
