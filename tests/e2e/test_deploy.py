"""Clients on separate machines, for real: a server, four sites, TLS, node keys, encryption."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml
from program import calyx_command, environment

from calyx.flower import FLEET_PATHS, Operator
from calyx.installed import bundle
from server.job import to_run_config

HEART = Path(__file__).resolve().parents[3] / "shared" / "data" / "heart"
SITES = ("cleveland", "hungarian", "switzerland", "va")
RUN = ("task=heart", f"task.data_dir={HEART}", "rounds=2", "baselines=false")

pytestmark = pytest.mark.skipif(not HEART.is_dir(), reason="../shared/data/heart is not here")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(what, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


class Deployment:
    """A folder as an operator, a consortium and four sites would have it, and their processes."""

    def __init__(self, folder):
        self.folder, self.port, self.control = folder, free_port(), free_port()
        self.processes = {}
        self.calyx("keys", "init", "--folder", "keys", "--host", "127.0.0.1")
        self.calyx("keys", "consortium")
        (folder / "nodes").mkdir()
        for name in SITES:
            self.calyx("keys", "site", name, "--folder", "sites")
            public = folder / "sites" / f"{name}.node.pub"
            (folder / "nodes" / public.name).write_bytes(public.read_bytes())
        publics = [f"sites/{name}.pub" for name in SITES]
        self.calyx("keys", "roster", "--consortium", "consortium.key", "--out", "r.json", *publics)
        sign = ("keys", "manifest", "--consortium", "consortium.key", "--version", "1")
        self.calyx(*sign, "--out", "manifest.json")

    def calyx(self, *arguments, code=0, timeout=120):
        ended = subprocess.run(
            calyx_command(*arguments),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def site_file(self, name, **changes):
        policy = {
            "privacy": "secagg",
            "n_min": 4,
            "h_min": 3,
            "max_colluders": 1,
            "sampling": "adversarial",
            "runs_a_day": None,
            "sums_a_day": None,
            "bounds": None,
        }
        client = {
            "name": name,
            "data_dir": str(HEART),
            "hardware": {
                "name": "cpu",
                "device": "cpu",
                "threads": 1,
                "precision": "float32",
                "deterministic": True,
            },
            "state_dir": f"state-{name}",
            "identity": f"sites/{name}.key",
            "roster": "r.json",
            "policy": policy,
        }
        values = {
            "server": f"127.0.0.1:{self.port}",
            "authority": "keys/ca.crt",
            "node_key": f"sites/{name}.node.key",
            "manifest": "manifest.json",
            "client": client,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values | changes))
        return path.name

    def start(self, name, *arguments):
        log = (self.folder / f"{name}.log").open("wb")
        self.processes[name] = subprocess.Popen(
            calyx_command(*arguments), cwd=self.folder, env=environment(), stdout=log, stderr=log
        )

    def said(self, name):
        return (self.folder / f"{name}.log").read_text()

    def up(self):
        ports = ("--port", str(self.port), "--control-port", str(self.control))
        self.start("server", "server", "--host", "127.0.0.1", *ports)
        wait_for(lambda: "Ctrl-C stops everything" in " ".join(self.said("server").split()))
        for name in SITES:
            self.start(name, "client", self.site_file(name))
        for name in SITES:
            wait_for(lambda name=name: "connected to" in self.said(name))

    def submit(self, *overrides, code=0):
        options = (f"--control-port={self.control}", "--roster=r.json")
        return self.calyx("submit", *options, *RUN, *overrides, code=code, timeout=240)

    def down(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    made = Deployment(tmp_path_factory.mktemp("deployment"))
    try:
        made.up()
        yield made
    finally:
        made.down()


def test_four_sites_give_the_bytes_of_a_simulation_and_answer_for_a_model_once(deployment):
    said = deployment.submit("hydra.run.dir=run")
    folder = deployment.folder
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert (summary["engine"], summary["privacy"], summary["rounds"]) == ("superlink", "secagg", 2)
    assert "round 2 " in said
    deployment.calyx("simulate", *RUN, "hydra.run.dir=simulated")
    simulated = json.loads((folder / "simulated" / "summary.json").read_text())
    assert summary["model_sha256"] == simulated["model_sha256"]
    for name in SITES:
        assert (folder / f"state-{name}").stat().st_mode & 0o077 == 0
        assert "vector" in (folder / f"state-{name}" / "ledger.jsonl").read_text()
    # The same start weights again: each site has answered for them.
    refused = deployment.submit("hydra.run.dir=again", "retries=0", code=1)
    assert "second-vector" in refused
    assert "another seed" in (folder / "state-va" / "events.jsonl").read_text()
    assert "Traceback" not in refused


def test_a_run_with_other_code_is_refused_by_every_site_and_the_operator_sees_why(deployment):
    operator = Operator(f"127.0.0.1:{deployment.control}", deployment.folder / "keys" / "ca.crt")
    from calyx.composing import compose, resolved
    from calyx.flower import build_bundle

    text = b'[project]\nname = "x"\nversion = "1.0.0"\nlicense = { file = "LICENSE" }\n'
    text += b'dependencies = ["flwr>=1.41,<1.42"]\n[tool.flwr.app]\npublisher = "x"\n'
    text += b'fab-format-version = 1\nflwr-version-target = "1.41.0"\n'
    text += b'[tool.flwr.app.components]\nserverapp = "server.app:app"\n'
    text += b'clientapp = "evil:app"\n[tool.flwr.app.config]\nconfig = ""\n'
    evil = build_bundle(
        {"pyproject.toml": text, "LICENSE": b"x", "README.md": b"x", "evil.py": b"raise SystemExit"}
    )
    assert evil != bundle()
    roster = (deployment.folder / "r.json").read_text()
    config = resolved(compose([*RUN, "engine=superlink"]))
    job = to_run_config(config, deployment.folder / "evil", resume=False, roster=roster)
    run_id = operator.start(evil, job)
    wait_for(lambda: operator.status(run_id)[0] == "finished")
    assert "bundle-refused" in operator.status(run_id)[2]
    for name in SITES:
        assert "bundle-refused" in deployment.said(name)
    where = (f"--control-port={deployment.control}", "--authority=keys/ca.crt")
    listed = deployment.calyx("runs", *where)
    assert str(run_id) in listed
    assert all(f"{name} online" in listed for name in SITES)
    assert "has ended already" in deployment.calyx("stop", *where, str(run_id), code=2)
    assert "There is no run 7" in deployment.calyx("stop", *where, "7", code=2)
    assert "does not answer" in deployment.calyx("runs", "--control-port=9", where[1], code=1)


def test_a_site_that_was_killed_comes_back_under_its_own_name(deployment):
    old = deployment.said("va").split("as node ")[1].split()[0]
    deployment.processes["va"].kill()
    deployment.processes["va"].wait()

    def is_back():
        """Start it again and again, as a supervisor does: a SuperLink takes a minute to believe it."""
        if deployment.processes["va"].poll() is not None:
            time.sleep(4)
            deployment.start("va", "client", "va.yaml")
        return "connected to" in deployment.said("va")

    wait_for(is_back, 150)
    assert deployment.said("va").split("as node ")[1].split()[0] == old


def test_who_holds_the_certificate_only_can_do_nothing(deployment):
    authority = str(deployment.folder / "keys" / "ca.crt")
    import ssl

    trusted = ssl.create_default_context(cafile=authority)
    with httpx.Client(
        base_url=f"https://127.0.0.1:{deployment.port}", verify=trusted, timeout=20
    ) as client:
        for path in (
            "/v1/control/list-runs",
            "/v1/control/start-run",
            "/v1/control/list-nodes",
            "/v1/control/register-node",
            "/v1/runtime/acquire-task",
            "/v1/runtime/push-messages",
            "/v1/fleet/register-node",
            "/v1/fleet/unregister-node",
            "/v1/fleet/../control/list-runs",
            "/v1/fleet/pull-messages/../../control/list-runs",
            "/docs",
            "/openapi.json",
            "/health",
            "/",
        ):
            assert client.post(path, content=b"").status_code == 404, path
        for name in sorted(FLEET_PATHS):
            head = {"content-type": "application/protobuf"}
            answer = client.post(f"/v1/fleet/{name}", content=b"", headers=head)
            assert answer.status_code == 401, (name, answer.text)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"https://127.0.0.1:{deployment.port}/", timeout=20)  # TLS by nobody we know


def test_a_site_whose_node_key_is_unknown_is_told_so(deployment):
    deployment.calyx("keys", "site", "stranger", "--folder", "sites")
    path = deployment.site_file("stranger")
    said = deployment.calyx("client", path, code=2)
    assert "The roster does not name stranger" in said
    # With somebody else's place on the roster, but its own node key:
    values = yaml.safe_load((deployment.folder / deployment.site_file("va")).read_text())
    values["node_key"] = "sites/stranger.node.key"
    values["client"]["state_dir"] = "state-stranger"
    (deployment.folder / "odd.yaml").write_text(yaml.safe_dump(values))
    said = deployment.calyx("client", "odd.yaml", code=1)
    assert "node key is not registered" in said
    assert "Traceback" not in said


def test_ctrl_c_ends_everything_that_the_server_started(tmp_path):
    made = Deployment(tmp_path)
    ports = ("--port", str(made.port), "--control-port", str(made.control))
    made.start("server", "server", "--host", "127.0.0.1", *ports)
    wait_for(lambda: "Ctrl-C stops everything" in " ".join(made.said("server").split()))
    children = children_of(made.processes["server"].pid)
    assert len(children) >= 2
    made.down()
    assert made.processes["server"].returncode in (0, 130)
    wait_for(lambda: not any(is_running(pid) for pid in children), 15)


def children_of(pid):
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, parent in pairs if parent == pid]


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return sys.platform != "linux" or "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
