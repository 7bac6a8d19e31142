"""`flwr run` on a checkout, as docs/flower.md has it: Flower's own simulation trains, nothing is left."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.program import calyx_command

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed"),
]
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "flower.md").read_text()
PORT = 39091  # Flower's, of a SuperLink that it starts by itself


@pytest.fixture
def checkout(tmp_path):
    """What a checkout holds of the app, so that nothing is written into this one."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("calyx", "client", "server", "strategies", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def settings(tmp_path):
    """An environment with a Flower home of its own; what inherited it is ended by its process id."""
    with socket.socket() as asked:
        if asked.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"another SuperLink listens on 127.0.0.1:{PORT}")
    mark = uuid.uuid4().hex
    programs = Path(calyx_command()[0]).parent
    yield os.environ | {
        "CALYX_TEST_MARK": mark,
        "FLWR_HOME": str(tmp_path / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    for how, wait_s in ((signal.SIGTERM, 20), (signal.SIGKILL, 10)):
        until = time.monotonic() + wait_s
        for process in processes_with(mark):
            os.kill(process, how)
        while processes_with(mark) and time.monotonic() < until:
            time.sleep(0.05)
    assert not processes_with(mark)


def processes_with(mark):
    """Ids of live processes that inherited the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # it has ended, or is another user's
    return found


def test_the_command_of_the_page_trains(checkout, settings):
    (block,) = re.findall(r"```\n(export [^`]*flwr run [^`]*)```", PAGE)
    short = block.replace("rounds=3", "rounds=1 training.epochs=1 baselines=false")
    assert short != block
    ended = subprocess.run(
        ["sh", "-ec", short],
        cwd=checkout,
        env=settings,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    log = next((Path(settings["FLWR_HOME"]) / "local-superlink").glob("*.log"))
    found = list((checkout / "runs").rglob("summary.json"))
    assert len(found) == 1, ended.stdout + log.read_text()
    summary = json.loads(found[0].read_text())
    assert (summary["privacy"], summary["rounds"], summary["num_clients"]) == ("none", 1, 10)
    assert "uv sync" not in ended.stdout  # nothing is installed for it
