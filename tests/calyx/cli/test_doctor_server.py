"""`calyx doctor server`: each finding, found, with its cure."""

import os
import shutil
import socket

import pytest
from starlette.applications import Starlette
from support.certificates import drop_identifiers, replace_authority, replace_server
from support.tls import served

from calyx.cli import doctor, keys
from calyx.errors import UserError


def look(capsys, *arguments):
    capsys.readouterr()
    code = doctor.main(["server", "--port", "0", "--control-port", "0", *arguments])
    return code, " ".join(capsys.readouterr().out.split())


def test_a_sound_server_can_serve_and_nothing_is_written(federation, capsys):
    before = sorted(federation.rglob("*"))
    code, said = look(capsys, "--roster", "roster.json")
    assert code == 0, said
    assert "This server can serve" in said
    assert "5 sites" in said
    assert "gate.example" in said
    assert "server-state will be made" in said
    assert sorted(federation.rglob("*")) == before


def expired(folder):
    replace_server(folder / "keys", -20, -10)


def soon(folder):
    replace_server(folder / "keys", -20, 10)


def early(folder):
    replace_server(folder / "keys", 2, 10)


def only_local(folder):
    replace_server(folder / "keys", -20, 100, "localhost")


def only_local_and_expired(folder):
    replace_server(folder / "keys", -20, -10, "localhost")


def expired_authority(folder):
    replace_authority(folder / "keys", -20, -10)


def without_identifiers(folder):
    drop_identifiers(folder / "keys", "ca.crt")


def soon_ending_authority(folder):
    replace_authority(folder / "keys", -20, 10)


def other_key(folder):
    shutil.copy(folder / "keys" / "ca.key", folder / "keys" / "server.key")


def no_key(folder):
    (folder / "keys" / "server.key").unlink()


def no_keys(folder):
    shutil.rmtree(folder / "keys")


def other_authority(folder):
    assert keys.main(["init", "--folder", "elsewhere", "--host", "x"]) == 0
    shutil.copy("elsewhere/ca.crt", "keys/ca.crt")


def wide_key(folder):
    (folder / "keys" / "server.key").chmod(0o644)


def no_nodes(folder):
    shutil.rmtree(folder / "nodes")
    (folder / "nodes").mkdir()


def no_folder_of_nodes(folder):
    shutil.rmtree(folder / "nodes")


def missing_node(folder):
    (folder / "nodes" / "north.node.pub").unlink()


def stranger(folder):
    assert keys.main(["site", "stranger", "--folder", "elsewhere"]) == 0
    shutil.copy("elsewhere/stranger.node.pub", "nodes")


def stray(folder):
    shutil.copy("sites/north.pub", "nodes")


def twice(folder):
    shutil.copy("nodes/north.node.pub", "nodes/twin.node.pub")


def two_bad_nodes(folder):
    (folder / "nodes" / "east.node.pub").write_text("x")
    shutil.copy("sites/north.node.key", "nodes/north.node.pub")


def altered_roster(folder):
    path = folder / "roster.json"
    path.write_text(path.read_text().replace("north", "horth"))


def open_state(folder):
    (folder / "server-state").mkdir(mode=0o755)


def file_for_state(folder):
    (folder / "server-state").touch()


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (expired, 1, "ended 10 days ago → calyx keys renew"),
        (soon, 0, "ends in 10 days"),
        (early, 1, "not valid yet"),
        (only_local, 0, "is for localhost only → calyx keys renew --folder keys --host HOST"),
        (only_local_and_expired, 1, "ended 10 days ago"),
        (expired_authority, 1, "ended 10 days ago → calyx keys init"),
        (without_identifiers, 0, "no key identifier, and sites on Python 3.13 or newer refuse it"),
        (soon_ending_authority, 0, "ca.crt ends in 10 days → calyx keys init"),
        (other_key, 1, "is not the key of"),
        (no_key, 1, "server.key cannot be read"),
        (no_keys, 1, "none in keys"),
        (other_authority, 1, "was not signed by"),
        (wide_key, 1, "chmod 600 keys/server.key"),
        (no_nodes, 1, "holds no .node.pub"),
        (no_folder_of_nodes, 1, "There is no folder nodes"),
        (missing_node, 1, "without it they cannot connect (north)"),
        (stranger, 0, "not on the roster: stranger"),
        (stray, 0, "not read: north.pub"),
        (twice, 1, "have the same node key"),
        (two_bad_nodes, 1, "north.node.pub is no public node key"),
        (two_bad_nodes, 1, "east.node.pub is no public node key"),
        (altered_roster, 1, "no sound roster"),
        (open_state, 1, "chmod 700"),
        (file_for_state, 1, "server-state is no folder"),
    ],
)
def test_what_is_wrong_with_a_server_is_found(federation, capsys, damage, code, words):
    damage(federation)
    found, said = look(capsys, "--roster", "roster.json")
    assert words in said
    assert found == code, said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every folder")
@pytest.mark.parametrize("name", ["server-state", "none/server-state"])
def test_a_state_folder_that_cannot_be_written_is_found(federation, capsys, name):
    closed = federation / name.partition("/")[0]
    closed.mkdir(mode=0o500)
    code, said = look(capsys, "--state", name)
    assert "cannot be written (Permission denied)" in said
    assert code == 1


def test_a_disk_that_is_nearly_full_is_found(federation, capsys, monkeypatch):
    monkeypatch.setattr("calyx.cli.doctor_server.MIN_DISK_BYTES", 2**70)
    code, said = look(capsys)
    assert "free some space" in said
    assert code == 1


def at(address):
    host, port = address.split(":")
    return "--host", host, "--port", port


def test_a_port_that_another_program_has_is_a_problem(federation, capsys, monkeypatch):
    monkeypatch.setattr("calyx.cli.doctor_server.ANSWER_S", 0.1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = look(capsys, "--host", "127.0.0.1", "--port", port)
        assert f"127.0.0.1:{port} cannot be listened on" in said
        assert code == 1
        code, said = look(capsys, "--control-port", port)
        assert "choose another --control-port" in said
        assert code == 1


def test_a_port_that_this_server_has_is_sound_until_the_certificate_is_renewed(federation, capsys):
    with served(Starlette(), federation / "keys") as address:
        code, said = look(capsys, *at(address))
        assert f"{address} is taken by a server with keys/server.crt" in said
        assert code == 0
        assert keys.main(["renew", "--folder", "keys"]) == 0
        code, said = look(capsys, *at(address))
        assert "with another certificate" in said
        assert "stop `calyx server` and start it again" in said
        assert code == 0


def test_a_port_that_a_server_of_another_authority_has_is_a_problem(federation, capsys):
    other_authority(federation)
    with served(Starlette(), federation / "keys") as address:
        code, said = look(capsys, *at(address), "--keys", "elsewhere")
    assert f"{address} cannot be listened on" in said
    assert code == 1


def test_an_address_that_is_not_this_machines_is_a_problem(federation, capsys):
    code, said = look(capsys, "--host", "no-such-host.invalid")
    assert "no-such-host.invalid:0 cannot be listened on" in said
    assert code == 1


@pytest.mark.parametrize("arguments", [["--prot", "1"], ["--port", "x"], ["more"]])
def test_wrong_usage_is_one_sentence(federation, arguments):
    with pytest.raises(UserError, match="see `calyx doctor server --help`"):
        doctor.main(["server", *arguments])
