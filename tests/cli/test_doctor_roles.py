"""`calyx doctor server` and `calyx doctor site`: each finding, found, with its cure."""

import email.utils
import os
import shutil
import socket
import time

import pytest
import yaml
from certificates import replace_server
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from tls import served

from cli import doctor, keys

POLICY = {
    "privacy": "secagg",
    "n_min": 5,
    "h_min": 3,
    "max_colluders": 1,
    "sampling": "adversarial",
    "runs_a_day": 10,
    "sums_a_day": 2000,
    "bounds": {"seed": "any"},
}
NAMES = ("north", "south", "east", "west", "centre")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Keys of everybody."""
    folder = tmp_path_factory.mktemp("made")
    before = os.getcwd()
    os.chdir(folder)
    try:
        assert keys.main(["init", "--folder", "keys", "--host", "gate.example"]) == 0
        assert keys.main(["consortium"]) == 0
        (folder / "nodes").mkdir()
        for name in NAMES:
            assert keys.main(["site", name, "--folder", "sites"]) == 0
            shutil.copy(f"sites/{name}.node.pub", "nodes")
        publics = [f"sites/{name}.pub" for name in NAMES]
        sign = ["--consortium", "consortium.key"]
        assert keys.main(["roster", *sign, "--out", "roster.json", *publics]) == 0
        assert keys.main(["manifest", *sign, "--out", "manifest.json", "--version", "1"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    code = doctor.main(list(arguments))
    return code, " ".join(capsys.readouterr().out.split())


def server(capsys, *arguments):
    return run(capsys, "server", "--port", "0", "--control-port", "0", *arguments)


def test_a_sound_server_can_serve(folder, capsys):
    code, said = server(capsys, "--roster", "roster.json")
    assert code == 0, said
    assert "This server can serve" in said
    assert "5 sites" in said
    assert "gate.example" in said


def expired(folder):
    replace_server(folder / "keys", -20, -10)


def soon(folder):
    replace_server(folder / "keys", -20, 10)


def early(folder):
    replace_server(folder / "keys", 2, 10)


def other_key(folder):
    shutil.copy(folder / "keys" / "ca.key", folder / "keys" / "server.key")


def other_authority(folder):
    (folder / "elsewhere").mkdir()
    assert keys.main(["init", "--folder", "elsewhere", "--host", "x"]) == 0
    shutil.copy("elsewhere/ca.crt", "keys/ca.crt")


def wide_key(folder):
    (folder / "keys" / "server.key").chmod(0o644)


def no_nodes(folder):
    shutil.rmtree(folder / "nodes")
    (folder / "nodes").mkdir()


def missing_node(folder):
    (folder / "nodes" / "north.node.pub").unlink()


def twice(folder):
    shutil.copy("nodes/north.node.pub", "nodes/twin.node.pub")


def bad_node(folder):
    (folder / "nodes" / "north.node.pub").write_text("x")


def open_state(folder):
    (folder / "server-state").mkdir(mode=0o755)


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (expired, 1, "ended 10 days ago → calyx keys renew"),
        (soon, 0, "ends in 10 days"),
        (early, 1, "not valid yet"),
        (other_key, 1, "is not the key of"),
        (other_authority, 1, "was not signed by"),
        (wide_key, 1, "chmod 600"),
        (no_nodes, 1, "holds no .node.pub"),
        (missing_node, 1, "without it they cannot connect (north)"),
        (twice, 1, "have the same node key"),
        (bad_node, 1, "no public node key"),
        (open_state, 1, "chmod 700"),
    ],
)
def test_what_is_wrong_with_a_server_is_found(folder, capsys, damage, code, words):
    damage(folder)
    capsys.readouterr()
    found, said = server(capsys, "--roster", "roster.json")
    assert words in said
    assert found == code


def test_a_port_that_is_taken_is_noted(folder, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ("server", "--host", "127.0.0.1", "--port", port, "--control-port", "0")
        _, said = run(capsys, *arguments)
    assert f"127.0.0.1:{port} is taken" in said


@pytest.fixture
def skew():
    """How far this machine's clock is ahead of the server's."""
    return {"seconds": 0}


@pytest.fixture
def site(folder, skew):
    """A site's file whose server is up; the file's values can be changed."""

    async def answer(request):
        date = email.utils.formatdate(time.time() - skew["seconds"], usegmt=True)
        return Response(status_code=404, headers={"date": date})

    app = Starlette(routes=[Route("/", answer)])
    with served(app, folder / "keys") as address:
        values = {
            "server": address,
            "authority": "keys/ca.crt",
            "node_key": "sites/north.node.key",
            "manifest": "manifest.json",
            "client": {
                "name": "north",
                "data_dir": "data",
                "hardware": {
                    "name": "cpu",
                    "device": "cpu",
                    "threads": 1,
                    "precision": "float32",
                    "deterministic": True,
                },
                "state_dir": "state",
                "identity": "sites/north.key",
                "roster": "roster.json",
                "policy": POLICY,
            },
        }
        yield values


def look(capsys, values):
    with open("site.yaml", "w") as file:
        yaml.safe_dump(values, file)
    capsys.readouterr()
    return run(capsys, "site", "site.yaml")


def test_a_sound_site_can_take_part_and_nothing_is_written(site, folder, capsys):
    code, said = look(capsys, site)
    assert code == 0, said
    assert "This site can take part" in said
    assert "north, one of 5 on roster version 1" in said
    assert "version 1; the installed files are what it allows" in said
    assert "answers" in said
    assert not (folder / "state").exists()


def changed(values, **changes):
    client = values["client"] | changes.pop("client", {})
    return values | changes | {"client": client}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"server": "127.0.0.1:9"}, 1, "is it running"),
        ({"server": "no-such-host.invalid:1"}, 1, "see DNS"),
        ({"authority": "roster.json"}, 1, "get ca.crt from the operator"),
        ({"node_key": "gone.key"}, 1, "gone.key"),
        ({"node_key": "sites/north.key"}, 1, "no private key"),
        ({"manifest": None}, 0, "runs any code"),
        ({"manifest": "roster.json"}, 1, "roster.json"),
        ({"client": {"name": "nobody"}}, 1, "does not name nobody"),
        ({"client": {"identity": "sites/south.key"}}, 1, "another key"),
        ({"client": {"roster": "gone.json"}}, 1, "gone.json"),
        ({"client": {"data_dir": "gone"}}, 1, "There is no folder gone"),
        ({"client": {"data_dir": None}}, 0, "tasks that bring their data"),
        ({"client": {"policy": POLICY | {"bounds": None}}}, 0, "no limit on bounds"),
        ({"client": {"policy": POLICY | {"privacy": "none"}}}, 0, "the server sees every update"),
    ],
)
def test_what_is_wrong_with_a_site_is_found(site, capsys, changes, code, words):
    found, said = look(capsys, changed(site, **changes))
    assert words in said
    assert found == code, said


def test_a_server_of_another_authority_is_not_trusted(site, folder, capsys):
    assert keys.main(["init", "--folder", "elsewhere", "--host", "x"]) == 0
    code, said = look(capsys, changed(site, authority="elsewhere/ca.crt"))
    assert "compare ca.crt" in said
    assert code == 1


@pytest.mark.parametrize(("seconds", "code"), [(5, 0), (-60, 0), (1000, 1), (-1000, 1)])
def test_a_clock_that_is_wrong_is_found(site, skew, capsys, seconds, code):
    skew["seconds"] = seconds
    found, said = look(capsys, site)
    assert ("set it by NTP" in said) is (abs(seconds) > 30)
    assert found == code


def test_a_state_folder_that_others_can_read_is_found(site, folder, capsys):
    (folder / "state").mkdir(mode=0o755)
    code, said = look(capsys, site)
    assert "chmod 700 state" in said
    assert code == 1


def test_an_older_manifest_is_found(site, folder, capsys):
    (folder / "state").mkdir(mode=0o700)
    (folder / "state" / "manifest-version").write_text("2")
    code, said = look(capsys, site)
    assert "no way back" in said
    assert code == 1
