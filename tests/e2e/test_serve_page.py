"""docs/serve.md as its reader follows it: a wheel in an environment of its own, TLS, a process, a swap."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import httpx
import pytest
from support.releases import make_release, write_signers
from support.wheels import ROOT, build_wheel, make_serving

pytestmark = pytest.mark.e2e
PAGE = (ROOT / "docs" / "serve.md").read_text()
PROGRAM = """#!{python}
import sys
sys.path.insert(0, {root!r})
from calyx.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def blocks(heading, kind):
    """The blocks of one kind in the section of the page with this heading."""
    section = re.search(
        rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE
    )
    return re.findall(rf"```{kind}\n(.*?)```", section[0], re.DOTALL)


class Reader:
    """Who follows the page in a folder; the port is a free one."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        (folder / "bin").mkdir()
        program = folder / "bin" / "calyx"
        program.write_text(PROGRAM.format(python=sys.executable, root=str(ROOT)))
        program.chmod(0o755)
        self.gateway = None

    @property
    def environment(self):
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PATH": path}

    def shell(self, commands):
        """Run commands of the page; the last one's output."""
        text = commands.replace("8443", self.port)
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, command):
        """Start the gateway by its line of the page, and wait until it answers."""
        self.gateway = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        line = self.gateway.stdout.readline()
        assert "heart version 1, signed by anna, bela" in line, line + self.gateway.stdout.read()

    def client(self):
        context = ssl.create_default_context(cafile=self.folder / "tls" / "ca.crt")
        key = (self.folder / "ward.key").read_text().strip()
        headers = {"authorization": f"Bearer {key}"}
        at = f"https://localhost:{self.port}"
        return httpx.Client(base_url=at, verify=context, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    reader = Reader(folder)
    make_serving(folder / "serving", build_wheel(folder))
    for place, name in (("releases", "heart-1"), ("releases", "heart-2"), ("inbox", "heart-2")):
        (folder / place).mkdir(exist_ok=True)
        if place == "releases":
            make_release(folder / place / name, seed=int(name[-1]))
    shutil.move(folder / "releases" / "heart-2", folder / "inbox" / "heart-2")
    write_signers(folder / "signers.json")
    (config,) = blocks("Starting it", "yaml")
    (folder / "serve.yaml").write_text(config.replace("8443", reader.port))
    (rows,) = blocks("Requests and answers", "json")
    (folder / "rows.json").write_text(rows)
    yield reader
    if reader.gateway is not None:
        reader.gateway.kill()
        reader.gateway.wait()


def test_the_page_from_its_first_command_to_a_swap_under_load(reader):
    (commands,) = blocks("Starting it", "sh")
    *before, serve = commands.strip().splitlines()
    reader.shell("\n".join(before))
    reader.start(serve)
    (ask,) = blocks("Requests and answers", "sh")
    said = json.loads(reader.shell(ask))
    assert said["release"]["version"] == 1
    assert said["predictions"][0]["label"] in said["predictions"][0]["probabilities"]
    answers, is_over = [], threading.Event()

    def go_on():
        rows = json.loads((reader.folder / "rows.json").read_text())
        with reader.client() as client:
            while not is_over.is_set():
                answer = client.post("/v1/predict", json=rows)
                said = answer.json()
                answers.append(
                    (answer.status_code, said.get("release", {}).get("version"), said.get("detail"))
                )

    load = [threading.Thread(target=go_on) for _ in range(3)]
    for one in load:
        one.start()
    try:
        (swap,) = blocks("Swapping releases", "sh")
        reader.shell(swap)
        deadline = time.monotonic() + 60
        while not answers or answers[-1][1] != 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        is_over.set()
        for one in load:
            one.join()
    assert {status for status, _, _ in answers} == {200}, answers
    with reader.client() as client:
        assert client.get("/v1/model").json()["release"]["version"] == 2
        assert "calyx_release_version 2.0" in client.get("/metrics").text
        stranger = client.post("/v1/predict", json={}, headers={"authorization": ""})
        assert stranger.status_code == 401
        (keys,) = blocks("Who may", "sh")
        reader.shell(keys)
        time.sleep(1)
        lab = {"authorization": f"Bearer {(reader.folder / 'lab-new.key').read_text().strip()}"}
        revoked = client.get("/docs", headers=lab)
        assert (revoked.status_code, revoked.json()["title"]) == (401, "Key revoked")
    reader.gateway.send_signal(signal.SIGTERM)
    reader.gateway.communicate(timeout=60)
    assert reader.gateway.returncode == 0
    (check,) = blocks("The log", "sh")
    (line,) = reader.shell(check).splitlines()  # a second one would say that it has not ended
    decisions = int(re.match(r"replica 1: ([0-9]+) decisions in ", line)[1])
    assert decisions == len(answers) + 5  # curl's, and the four above


def test_the_serving_environment_has_neither_flower_nor_hydra(reader):
    names = ("flwr", "hydra", "omegaconf", "ray", "sklearn")
    show = f"import importlib.util as u; print(*[n for n in {names} if u.find_spec(n)])"
    found = subprocess.run(
        [reader.folder / "serving" / "bin" / "python", "-I", "-c", show],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "\n"


def test_changed_code_is_not_served(reader, tmp_path):
    (package,) = (reader.folder / "serving").glob("lib/python*/site-packages/calyx")
    file = package / "model" / "stacks.py"
    before = file.read_text()
    file.write_text(before + "# changed\n")
    try:
        command = "serving/bin/calyx serve releases --signers signers.json serve.port=0"
        ended = subprocess.run(
            ["bash", "-c", f"{command} serve.state_dir={tmp_path}"],
            cwd=reader.folder,
            env=reader.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        file.write_text(before)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert "code" in ended.stderr
