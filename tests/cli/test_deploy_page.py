"""docs/deploy.md: its key commands run, its site's file is one, its other commands are understood."""

import configparser
import re
import shlex
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from calyx.certificates import describe
from calyx.errors import UserError
from cli import client, doctor, keys, resume, server, submit
from cli.following import split_options
from client.site import check_site, read_site_config

DOCS = Path(__file__).parents[2] / "docs" / "deploy.md"
SITES = ("north", "south", "east", "west", "centre")


def commands():
    blocks = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the page leaves behind, up to the site's file."""
    monkeypatch.chdir(tmp_path)
    order = {
        "consortium": 0,
        "site": 1,
        "init": 1,
        "roster": 2,
        "manifest": 2,
        "show": 4,
        "renew": 5,
    }
    ours = [words[2:] for words in commands() if words[:2] == ["calyx", "keys"]]
    assert sorted({words[0] for words in ours}) == sorted(order)
    for name in SITES[1:]:  # the other sites do as the page says
        assert keys.main(["site", name, "--folder", "sites"]) == 0
    for words in sorted(ours, key=lambda words: order[words[0]]):
        if words[0] == "show":  # by then the operator has what the sites have sent
            (tmp_path / "nodes").mkdir()
            for name in SITES:
                shutil.copy(f"sites/{name}.node.pub", "nodes")
            shutil.copy("keys/ca.crt", ".")
        assert keys.main(words) == 0
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "north.yaml").write_text(text)
    return tmp_path


def test_the_sites_file_is_a_site_with_keys_roster_and_manifest(folder):
    site = check_site(read_site_config(folder / "north.yaml"))
    assert site.name == "north"
    assert site.member is not None
    assert site.policy.bounds is not None


def test_private_files_are_their_owners_alone(folder):
    for path in folder.rglob("*.key"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_servers_certificate_names_its_host_and_ends_in_time(folder):
    crt = x509.load_pem_x509_certificate((folder / "keys" / "server.crt").read_bytes())
    names = crt.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "gateway.example.org" in names.get_values_for_type(x509.DNSName)
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    left = describe(folder / "keys" / "server.crt").ends - datetime.now(UTC)
    assert timedelta(days=390) < left < timedelta(days=400)


def test_keys_are_never_replaced(folder):
    before = (folder / "keys" / "ca.key").read_bytes()
    for words in (
        ["init", "--folder", "keys", "--host", "x"],
        ["site", "north", "--folder", "sites"],
    ):
        with pytest.raises(UserError, match="exists"):
            keys.main(words)
    assert (folder / "keys" / "ca.key").read_bytes() == before


@pytest.mark.parametrize("host", ["", "a b", "host/path", "-", "a..b", "x" * 64])
def test_a_host_that_is_none_is_refused(tmp_path, host):
    with pytest.raises(UserError, match="neither a host"):
        keys.main(["init", "--folder", str(tmp_path), f"--host={host}"])
    assert list(tmp_path.iterdir()) == []


def test_the_other_commands_of_the_page_are_understood(folder):
    found = {words[1]: words[2:] for words in commands() if words[1] not in ("keys", "doctor")}
    assert sorted(found) == ["client", "resume", "server", "submit"]
    (folder / "nodes").rename(folder / "elsewhere")
    with pytest.raises(UserError, match="no folder nodes"):
        server.main(found["server"])
    with pytest.raises(UserError, match="There is no folder runs"):
        resume.main(found["resume"])
    options, overrides = split_options(found["submit"], "submit")
    assert (options.roster, overrides[0]) == (Path("roster.json"), "task=digits")
    assert yaml.safe_load((folder / found["client"][0]).read_text())["server"].endswith(":9443")


def test_a_port_that_is_taken_is_one_sentence(folder):
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
    assert not (folder / "server-state").exists()


def test_the_doctors_of_the_page_run(folder, capsys):
    ours = {words[2]: words[2:] for words in commands() if words[1] == "doctor"}
    assert sorted(ours) == ["server", "site"]
    assert doctor.main(ours["server"]) == 0
    said = capsys.readouterr().out
    assert "5 sites" in said
    (folder / "data").mkdir()
    assert doctor.main(ours["site"]) == 1  # nobody serves gateway.example.org
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("✗") == 1, said
    assert "1 problem(s)" in said


def test_the_units_of_the_page_are_whole():
    (unit,) = re.findall(r"```ini\n(.*?)```", DOCS.read_text(), re.DOTALL)
    parsed = configparser.ConfigParser()
    parsed.optionxform = str
    parsed.read_string(unit)
    assert parsed["Service"]["ExecStart"].endswith("calyx client north.yaml")
    (container,) = re.findall(r"```dockerfile\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert "requirements.lock" in container


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        (server.main, ["--keys", "none"], "make it with"),
        (server.main, ["--port", "x"], "invalid int"),
        (client.main, [], "required"),
        (client.main, ["gone.yaml"], "cannot be read"),
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
