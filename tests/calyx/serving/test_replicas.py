"""Two replicas behind one address, as processes: one is killed, a second gateway comes, all is ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from support.gateway_keys import add_key
from support.releases import make_release, write_signers

pytestmark = pytest.mark.e2e
START = "import sys; from calyx.cli.main import run; sys.exit(run(sys.argv[1:]))"


def start(folder, *words):
    arguments = ["serve", "releases", "--signers", "signers.json", "serve.keys=keys.json", *words]
    return subprocess.Popen(
        [sys.executable, "-c", START, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_line(process, what):
    """The gateway's next line that says so."""
    return next(line for line in process.stdout if what in line)


def wait_for_port(process):
    """The port that the gateway says."""
    return int(wait_for_line(process, "signed by").rpartition(":")[2])


def ask(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
        return json.load(answer)


def children(process):
    return [
        int(p) for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    (folder / "releases").mkdir()
    make_release(folder / "releases" / "heart-1")
    write_signers(folder / "signers.json")
    add_key(folder / "keys.json", "ward")
    return folder


def test_a_dead_replica_is_replaced_and_a_signal_ends_all(folder) -> None:
    process = start(folder, "serve.port=0", "serve.replicas=2")
    try:
        port = wait_for_port(process)
        assert ask(port)["release"] == {"name": "heart", "version": 1}
        one, other = children(process)
        os.kill(one, signal.SIGKILL)
        wait_for_line(process, "was killed by signal 9; it is started again.")
        assert ask(port)["ready"]
        assert other in children(process)
        make_release(folder / "releases" / "heart-2", seed=2)
        wait_for_line(process, "version 2 answers from now on")
        deadline = time.monotonic() + 60
        while {ask(port)["release"]["version"] for _ in range(20)} != {2}:  # by new connections
            assert time.monotonic() < deadline
        second = start(folder, f"serve.port={port}", "serve.state_dir=other")
        said, _ = second.communicate(timeout=60)
        assert (second.returncode, said.count("\n")) == (2, 1)
        assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in said
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    finally:
        process.kill()
        process.wait()


def test_replicas_end_with_their_parent(folder) -> None:
    process = start(folder, "serve.port=0", "serve.replicas=2", "serve.state_dir=third")
    ask(wait_for_port(process))
    pids = children(process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/stat").exists() for pid in pids):
        state = {pid: Path(f"/proc/{pid}/stat").exists() for pid in pids}
        assert time.monotonic() < deadline, state
        time.sleep(0.05)


def test_a_release_that_does_not_verify_is_not_served(folder, tmp_path) -> None:
    (tmp_path / "releases").mkdir()
    make_release(tmp_path / "releases" / "heart-1", signed_by=())
    write_signers(tmp_path / "signers.json")
    add_key(tmp_path / "keys.json", "ward")
    process = start(tmp_path, "serve.port=0")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "It is not signed: 2 of 3 signers must" in said
    assert said.count("\n") == 1
