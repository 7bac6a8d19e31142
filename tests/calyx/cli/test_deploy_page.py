"""docs/deploy.md beside what tests/e2e/test_wheel.py runs of it; and what its commands do not take."""

import configparser
import re
import socket
from pathlib import Path

import pytest

from calyx.cli import client, resume, server, submit
from calyx.errors import UserError

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "deploy.md").read_text()


def test_the_units_of_the_page_are_whole():
    (unit,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    parsed = configparser.ConfigParser()
    parsed.optionxform = str
    parsed.read_string(unit)
    assert parsed["Service"]["ExecStart"].endswith("calyx client north.yaml")
    (container,) = re.findall(r"```dockerfile\n(.*?)```", PAGE, re.DOTALL)
    assert "requirements.lock" in container


def test_a_port_that_is_taken_is_one_sentence(federation):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for ports in (["--port", port], ["--port", "0", "--control-port", port]):
            with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be listened on"):
                server.main(["--host", "127.0.0.1", *ports])
    for host in ("no-such-host.invalid", "192.0.2.1"):
        with pytest.raises(UserError, match="cannot be listened on"):
            server.main(["--host", host])
    with pytest.raises(UserError, match="cannot be listened on"):
        server.main(["--host", "127.0.0.1", "--port", "70000"])
    assert not (federation / "server-state").exists()


def test_a_server_without_nodes_is_one_sentence(federation):
    (federation / "nodes").rename(federation / "elsewhere")
    with pytest.raises(UserError, match="no folder nodes"):
        server.main([])


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        (server.main, ["--keys", "none"], "make it with"),
        (server.main, ["--port", "x"], "invalid int"),
        (client.main, [], "required"),
        (client.main, ["gone.yaml"], "cannot be read"),
        (resume.main, ["runs/2026-01-31/12-00-00"], "There is no folder runs"),
        (submit.main, ["--rooster=x"], "none of submit's options"),
        (submit.main, ["task=digits"], "needs the consortium's roster"),
        (submit.main, ["--roster=gone.json"], "gone.json"),
        (submit.main, ["--control-port=x"], "is no port"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, monkeypatch, command, arguments, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        command(arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argument", ["-m", "help", "--roster="])
def test_what_submit_does_not_understand_is_one_sentence(argument):
    with pytest.raises(UserError, match="none of submit's options"):
        submit.main(["privacy=none", argument])
