"""`calyx keys`: real files with the right modes, and a roster that nobody can alter."""

import json
import re
import shlex
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calyx import key_files
from calyx.errors import UserError
from calyx.secagg.keys import identity_of
from calyx.secagg.roster import fingerprint
from cli import keys

DOCS = Path(__file__).parents[2] / "docs" / "keys.md"


def calyx_keys(*arguments):
    assert keys.main(list(arguments)) == 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("north", "south"):
        calyx_keys("identity", name)
    calyx_keys("consortium")
    calyx_keys(
        "roster", "--consortium", "consortium.key", "--out", "r.json", "north.pub", "south.pub"
    )
    return tmp_path


def test_every_command_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) >= 7
    for line in lines:
        program, command, *arguments = shlex.split(line)
        assert (program, command) == ("calyx", "keys")
        calyx_keys(*arguments)
    assert "version 2" in capsys.readouterr().out


def test_a_private_key_is_its_owners_alone_and_never_shown(folder, capsys):
    calyx_keys("show", "north.key", "north.pub", "r.json", "consortium.key")
    said = capsys.readouterr()
    for name in ("north.key", "consortium.key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        private = key_files.read_identity(folder / name)
        body = (folder / name).read_text().splitlines()[1]
        for secret in (private.hex(), body):
            assert secret not in said.out + said.err
        assert fingerprint(identity_of(private)) in " ".join(said.out.split())
    assert list(folder.glob(".*")) == []


def test_the_roster_holds_the_sites_keys_and_the_consortiums_signature(folder):
    roster = key_files.read_roster_file(folder / "r.json")
    assert roster.version == 1
    assert [name for name, _ in roster.clients] == ["north", "south"]
    assert roster.key(0) == identity_of(key_files.read_identity(folder / "north.key"))
    assert roster.consortium == key_files.public_of(folder / "consortium.key")


def test_a_new_roster_says_what_changed_and_has_the_next_version(folder, capsys):
    calyx_keys("identity", "west")
    capsys.readouterr()
    update = ["roster", "--consortium", "consortium.key", "--out", "r.json", "--previous", "r.json"]
    calyx_keys(*update, "north.pub", "west.pub")
    said = capsys.readouterr().out
    assert re.search(r"added +west", said)
    assert re.search(r"removed +south", said)
    assert key_files.read_roster_file(folder / "r.json").version == 2


REFUSED = {
    "an existing key": (["identity", "north"], "keys are not replaced"),
    "a name that is a path": (["identity", "../north"], "cannot be used"),
    "a hidden name": (["identity", ".north"], "cannot be used"),
    "an empty name": (["identity", ""], "cannot be used"),
    "no action": ([], "required: action"),
    "an unknown action": (["sell"], "invalid choice"),
    "an existing roster": (
        ["roster", "--consortium", "consortium.key", "--out", "r.json", "north.pub"],
        "replace it with --previous",
    ),
    "one site twice": (
        ["roster", "--consortium", "consortium.key", "--out", "x.json", "north.pub", "north.pub"],
        "a second key for north",
    ),
    "a private key in place of a public one": (
        ["roster", "--consortium", "consortium.key", "--out", "x.json", "north.key"],
        "no public key of Calyx",
    ),
    "a public key in place of the consortium's": (
        ["roster", "--consortium", "consortium.pub", "--out", "x.json", "north.pub"],
        "can be read by others|no Ed25519 private key",
    ),
    "another consortium": (
        [
            "roster",
            "--consortium",
            "north.key",
            "--out",
            "r.json",
            "--previous",
            "r.json",
            "south.pub",
        ],
        "another consortium's key",
    ),
    "a folder that is not there": (
        ["roster", "--consortium", "consortium.key", "--out", "no/x.json", "north.pub"],
        "cannot be written",
    ),
    "a file that is not there": (["show", "x.json"], "cannot be read"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_mistake_is_one_sentence_and_changes_no_file(folder, arguments, words):
    before = {p: p.read_bytes() for p in folder.rglob("*")}
    with pytest.raises(UserError, match=words) as caught:
        keys.main(arguments)
    assert "\n" not in str(caught.value)
    assert {p: p.read_bytes() for p in folder.rglob("*")} == before


def test_a_key_that_others_can_read_is_not_used(folder):
    (folder / "north.key").chmod(0o640)
    with pytest.raises(UserError, match="chmod 600"):
        key_files.read_identity(folder / "north.key")


@pytest.mark.parametrize("field", ["version", "clients", "consortium", "signature"])
def test_an_altered_roster_is_refused(folder, field):
    value = json.loads((folder / "r.json").read_text())
    changed = {
        "version": 2,
        "clients": {"north": value["clients"]["north"]},
        "consortium": value["clients"]["north"],
        "signature": "00" * 64,
    }
    (folder / "r.json").write_text(json.dumps(value | {field: changed[field]}))
    with pytest.raises(UserError, match="signature does not fit"):
        key_files.read_roster_file(folder / "r.json")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode) | st.just(b"[" * 100_000))
def test_garbage_in_a_file_is_one_sentence(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    path.chmod(0o600)
    for read in (key_files.read_identity, key_files.read_public, key_files.read_roster_file):
        with pytest.raises(UserError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
