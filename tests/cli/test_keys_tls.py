"""Certificates of an operator: what they say, and renewing them."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from support.certificates import replace_authority, replace_server

from calyx.certificates import check_pair, check_signed, describe
from calyx.errors import UserError
from cli import keys


@pytest.fixture
def folder(tmp_path):
    assert keys.main(["init", "--folder", str(tmp_path), "--host", "gate.example"]) == 0
    return tmp_path


def test_a_servers_certificate_names_its_host_and_ends_after_thirteen_months(folder):
    made = describe(folder / "server.crt")
    assert set(made.names) == {"gate.example", "127.0.0.1", "localhost"}
    assert timedelta(days=390) < made.ends - datetime.now(UTC) < timedelta(days=400)
    for path in folder.glob("*.key"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("host", ["", "a b", "host/path", "-", "a..b", "x" * 64])
def test_a_host_that_is_none_is_refused(tmp_path, host):
    with pytest.raises(UserError, match="neither a host"):
        keys.main(["init", "--folder", str(tmp_path), f"--host={host}"])
    assert list(tmp_path.iterdir()) == []


def test_a_renewed_certificate_is_of_the_same_authority_and_names(folder, capsys):
    replace_server(folder, -400, -1)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert keys.main(["renew", "--folder", str(folder)]) == 0
    assert "sites need nothing new" in capsys.readouterr().out
    made = describe(folder / "server.crt")
    assert set(made.names) == {"gate.example", "127.0.0.1", "localhost"}
    check_signed(folder / "server.crt", folder / "ca.crt")
    check_pair(folder / "server.crt", folder / "server.key")
    for name in ("ca.crt", "ca.key"):
        assert (folder / name).read_bytes() == before[name]
    for name in ("server.crt", "server.key"):
        assert (folder / f"{name}.old").read_bytes() == before[name]
        assert (folder / name).read_bytes() != before[name]
    for name in ("server.key", "server.key.old"):
        assert (folder / name).stat().st_mode & 0o077 == 0


def test_a_renewed_certificate_can_have_another_name_and_be_renewed_again(folder):
    for _ in range(2):
        assert keys.main(["renew", "--folder", str(folder), "--host", "new.example"]) == 0
    assert "new.example" in describe(folder / "server.crt").names
    assert "gate.example" not in describe(folder / "server.crt").names


def test_a_certificate_is_renewed_where_the_earlier_key_or_both_are_lost(folder):
    (folder / "server.key").unlink()
    assert keys.main(["renew", "--folder", str(folder)]) == 0
    check_pair(folder / "server.crt", folder / "server.key")
    assert "gate.example" in describe(folder / "server.crt").names
    (folder / "server.crt").unlink()
    assert keys.main(["renew", "--folder", str(folder), "--host", "new.example"]) == 0
    check_pair(folder / "server.crt", folder / "server.key")


def test_a_certificate_does_not_outlive_its_authority(folder):
    replace_authority(folder, -1, 50)
    assert keys.main(["renew", "--folder", str(folder)]) == 0
    ends = [describe(folder / name).ends for name in ("server.crt", "ca.crt")]
    assert abs(ends[0] - ends[1]) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: replace_authority(f, -20, -10), "ca.crt has ended"),
        (lambda f: (f / "ca.key").unlink(), "cannot be read"),
        (lambda f: (f / "ca.crt").unlink(), "cannot be read"),
        (lambda f: (f / "server.crt").unlink(), "cannot be read"),
        (lambda f: (f / "ca.key").write_bytes(b"x"), "no private key"),
        (lambda f: shutil.copy(f / "server.key", f / "ca.key"), "is not the key of"),
        (lambda f: (f / "server.crt").write_bytes(b""), "is no certificate"),
    ],
)
def test_what_cannot_be_renewed_is_one_sentence_and_stays_as_it_was(folder, damage, words):
    damage(folder)
    before = {p: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(UserError, match=words) as caught:
        keys.main(["renew", "--folder", str(folder)])
    assert "\n" not in str(caught.value)
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        (-1, 100, "(100 days left)"),
        (-1, 10, "It ends in"),
        (-20, -10, "It has ended"),
        (5, 10, "not valid yet"),
    ],
)
def test_show_says_when_a_certificate_ends(folder, capsys, begins, ends, words):
    replace_server(folder, begins, ends)
    assert keys.main(["show", str(folder / "server.crt"), str(folder / "ca.crt")]) == 0
    said = capsys.readouterr().out
    assert words in said
    assert "gate.example" in said
    assert "signing the server's" in said


def test_show_says_what_to_do_when_an_authority_ends(folder, capsys):
    for begins, ends, words in ((-20, 10, "It ends in 10 days"), (-20, -10, "It has ended")):
        replace_authority(folder, begins, ends)
        capsys.readouterr()
        assert keys.main(["show", str(folder / "ca.crt")]) == 0
        assert f"{words}: make another with `calyx keys init" in capsys.readouterr().out


def test_a_site_that_has_one_of_its_keys_gets_the_other_and_keeps_that_one(folder, capsys):
    place = ["--folder", str(folder)]
    assert keys.main(["identity", "north", *place]) == 0
    made = {path: path.read_bytes() for path in folder.glob("north.*")}
    assert keys.main(["site", "north", *place]) == 0
    assert "The identity key of north stays" in capsys.readouterr().out
    assert all(path.read_bytes() == data for path, data in made.items())
    node = folder / "north.node.pub"
    before = node.read_bytes()
    for path in (node, folder / "north.node.key"):  # as docs/deploy.md replaces a node key
        path.unlink()
    assert keys.main(["site", "north", *place]) == 0
    assert node.read_bytes() != before
    for whole in ("north.key", "north.node.pub"):
        (folder / whole).unlink()
        with pytest.raises(UserError, match="keys are not replaced"):
            keys.main(["site", "north", *place])
    assert sorted(path.name for path in folder.glob("north.*")) == ["north.node.key", "north.pub"]


def test_show_knows_a_sites_node_key(folder, capsys):
    assert keys.main(["site", "north", "--folder", str(folder)]) == 0
    assert keys.main(["show", str(folder / "north.node.pub")]) == 0
    assert "a site's node key" in capsys.readouterr().out
    (folder / "bad.pub").write_bytes(b"-----BEGIN PUBLIC KEY-----")
    with pytest.raises(UserError, match="no public node key"):
        keys.main(["show", str(folder / "bad.pub")])


def test_a_host_beyond_ascii_is_one_sentence(folder):
    with pytest.raises(UserError, match="is neither a host's name nor an address"):
        keys.main(["renew", "--folder", str(folder), "--host", "m\u00fcnchen.de"])
