"""What `calyx keys` and its readers refuse: one sentence, exit code 2, and no file changed."""

import json
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calyx.cli import keys
from calyx.cli.main import run
from calyx.errors import UserError
from calyx.trust import key_files
from calyx.trust.measured import Contents

SIGN = ["roster", "--consortium", "consortium.key", "--out"]
OTHER = ["roster", "--consortium", "other/consortium.key"]
READERS = [
    key_files.read_identity,
    key_files.read_consortium,
    key_files.read_public,
    key_files.read_roster_file,
    key_files.read_any,
]


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments in (["identity", "north"], ["identity", "south"], ["consortium"]):
        keys.main(arguments)
    for out in ("r.json", "other.json"):
        keys.main([*SIGN, out, "north.pub", "south.pub"])
    os.mkdir("other")
    keys.main(["consortium", "--folder", "other"])
    os.symlink("nowhere", "dangling.key")
    capsys.readouterr()
    return tmp_path


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


MISTAKES = {
    "no action": ([], "required: ACTION"),
    "an unknown action": (["sell"], "invalid choice"),
    "a roster without anything": (["roster"], "are required: --consortium, --out"),
    "an existing key": (["identity", "north"], "keys are not replaced"),
    "a name that is a link already": (["identity", "dangling"], "keys are not replaced"),
    "an existing consortium": (["consortium"], "keys are not replaced"),
    "a folder that is a file": (["identity", "x", "--folder", "r.json"], "cannot be made"),
    "an existing roster": ([*SIGN, "r.json", "north.pub"], "replace it with --previous r.json"),
    "another roster in the way": (
        [*SIGN, "other.json", "--previous", "r.json", "north.pub"],
        "other.json exists",
    ),
    "one site twice": ([*SIGN, "x.json", "north.pub", "north.pub"], "same name as north.pub"),
    "a private key for a public one": ([*SIGN, "x.json", "north.key"], "no public key of Calyx"),
    "the consortium as a site": ([*SIGN, "x.json", "consortium.pub"], "and no site's"),
    "a site as the consortium": (
        ["roster", "--consortium", "north.key", "--out", "x.json", "south.pub"],
        "is a site's identity key, and the consortium's is needed",
    ),
    "a public key to sign with": (
        ["roster", "--consortium", "consortium.pub", "--out", "x.json", "north.pub"],
        "is no private key",
    ),
    "another consortium's roster": (
        [*OTHER, "--previous", "r.json", "--out", "r.json", "north.pub"],
        "signed by another consortium's key",
    ),
    "a folder that is not there": (
        [*SIGN, "no/x.json", "north.pub", "south.pub"],
        "cannot be written",
    ),
    "a second content of a version": (
        [*SIGN, "x.json", "north.pub"],
        "signed another roster of version 1 already .* give the roster of version 1 as --previous",
    ),
    "a version that no signature holds": (
        ["manifest", "--consortium", "consortium.key", "--out", "m.json", "--version", str(2**63)],
        f"must be a whole number from 1 to {2**63 - 1}",
    ),
    "half an option of the site's file": (["site", "west", "--drawn"], "--task TASK writes"),
    "a file that is not there": (["show", "x.json"], "There is no key or roster x.json"),
    "a folder for a file": (["show", "other"], "is no file|is a folder"),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_sentence_and_changes_no_file(folder, capsys, arguments, words):
    before = contents(folder)
    with pytest.raises(UserError, match=words):
        keys.main(arguments)
    assert run(["keys", *arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert contents(folder) == before


UNFIT = ["", ".", "..", ".north", "-north", "../north", "a/b", "a\\b", "a\nb", "a\0b", " a", "a "]
TOO_LONG_OR_ODD = ["x" * 201, "é" * 101, "e\u0301", "\u202egnp", "\udcff", "consortium"]


@pytest.mark.parametrize("name", [*UNFIT, *TOO_LONG_OR_ODD])
def test_a_name_that_no_file_or_roster_can_carry_is_refused(tmp_path, name):
    with pytest.raises(UserError) as caught:
        key_files.make_key("identity", name, tmp_path)
    assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 200, "é" * 100, "Spital Bern (2)", "北", "[red]"])
def test_other_names_are_made_signed_and_shown_as_they_are(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    for arguments in (["identity", name], ["consortium"]):
        assert keys.main(arguments) == 0
    assert keys.main([*SIGN, "r.json", f"{name}.pub"]) == 0
    assert key_files.read_roster_file(tmp_path / "r.json").name(0) == name
    capsys.readouterr()
    assert keys.main(["show", f"{name}.pub"]) == 0
    assert f"name         {name}\n" in capsys.readouterr().out


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


@pytest.mark.parametrize(
    ("field", "changed"), [("name", "south"), ("kind", "consortium"), ("key", "00" * 32)]
)
def test_an_altered_public_key_is_refused(folder, field, changed):
    value = json.loads((folder / "north.pub").read_text())
    (folder / "north.pub").write_text(json.dumps(value | {field: changed}))
    with pytest.raises(UserError, match="its signature does not fit"):
        key_files.read_public(folder / "north.pub")


def test_a_consortiums_key_is_no_identity(folder):
    with pytest.raises(UserError, match="is the consortium's key, and a site's identity is needed"):
        key_files.read_identity(folder / "consortium.key")


def pem(encryption=None):
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello", "is no private key"),
        (pem(), "none that Calyx made"),
        (pem(BestAvailableEncryption(b"secret")), "locked with a passphrase"),
        (b"kind: identity\nname: north\n" + pem()[:60], "is damaged"),
        (b"kind: identity\nname: ../north\n" + pem(), "holds a name that is refused"),
        (b"x" * 5000, "is larger than any private key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",  # keys are drawn anew
)
def test_a_file_that_is_no_identity_says_why(tmp_path, data, words):
    path = tmp_path / "north.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(UserError, match=words) as caught:
        key_files.read_identity(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_pipe_a_folder_a_missing_file_and_an_odd_path_are_one_sentence(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "missing", "pipe/under", "a\nb", "a\0b", "x" * 300):
        with pytest.raises(UserError) as caught:
            read(tmp_path / name)
        assert str(caught.value).isprintable()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_is_one_sentence(folder):
    (folder / "north.key").chmod(0)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        key_files.read_identity(folder / "north.key")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ["kind", "name", "key", "signature", "version", "clients", "consortium"]
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), JSON | st.sampled_from(["identity", "00" * 32]))
GARBAGE = (
    st.binary(max_size=300)
    | OBJECTS.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=80).map(lambda b: b"-----BEGIN PRIVATE KEY-----\n" + b + b"\n-----END")
    | st.sampled_from([b"[" * 100_000, b'{"version": ' + b"9" * 9999 + b"}", b"\xff\xfe"])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(GARBAGE)
def test_garbage_in_a_file_is_one_sentence_and_nothing_else(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    path.chmod(0o600)
    for read in READERS:
        with pytest.raises(UserError) as caught:
            read(path)
        assert str(caught.value).isprintable()
        assert caught.value.exit_code == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_file_with_one_byte_changed_is_never_read_as_another(folder, data):
    name, read = data.draw(
        st.sampled_from([("north.pub", READERS[2]), ("r.json", READERS[3])]), "file"
    )
    sound = read(folder / name)
    raw = bytearray((folder / name).read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "changed").write_bytes(raw)
    try:
        found = read(folder / "changed")
    except UserError:
        return
    assert found == sound  # white space, or the case of a hex digit


def test_a_removed_site_does_not_come_back_under_a_version_that_was_signed(folder, capsys):
    """South is removed; months later the consortium signs from a copy of before."""
    for name in ("west", "n\u043erth"):  # the second with a Cyrillic o
        keys.main(["identity", name])
    keys.main([*SIGN, "v2.json", "--previous", "r.json", "north.pub"])
    before = contents(folder)
    with pytest.raises(
        UserError, match=r"another roster of version 2 already .* roster of version 2"
    ):
        keys.main([*SIGN, "x.json", "--previous", "r.json", "north.pub", "south.pub", "west.pub"])
    assert contents(folder) == before
    keys.main([*SIGN, "again.json", "--previous", "r.json", "north.pub"])  # the same content
    assert (folder / "again.json").read_bytes() == (folder / "v2.json").read_bytes()
    capsys.readouterr()
    keys.main(["show", "consortium.signed.jsonl"])
    said = capsys.readouterr().out
    assert said.count("roster 1") == said.count("roster 2") == 1
    with pytest.raises(UserError, match="cannot be told apart by eye"):
        keys.main([*SIGN, "x.json", "--previous", "v2.json", "north.pub", "n\u043erth.pub"])
    (folder / "consortium.signed.jsonl").write_text('{"version": "2"}\n')
    with pytest.raises(UserError, match=r"consortium\.signed\.jsonl is damaged"):
        keys.main([*SIGN, "v3.json", "--previous", "v2.json", "north.pub"])
    assert not (folder / "v3.json").exists()


def test_a_version_of_the_code_stands_for_one_content(folder, monkeypatch):
    sign = ["manifest", "--consortium", "consortium.key", "--out"]
    keys.main([*sign, "m1.json", "--version", "1"])
    other = Contents({"client/a.py": "0" * 64}, {}, ())
    monkeypatch.setattr("calyx.trust.manifest.contents", lambda: other)
    with pytest.raises(UserError, match=r"another manifest of version 1 .* --version 2"):
        keys.main([*sign, "m2.json", "--version", "1"])
    keys.main([*sign, "m2.json", "--version", "2"])
    assert json.loads((folder / "m2.json").read_text())["version"] == 2
    with pytest.raises(UserError, match="no package 'nowhere' here"):
        keys.main([*sign, "m3.json", "--version", "3", "--package", "nowhere"])
    assert not (folder / "m3.json").exists()
