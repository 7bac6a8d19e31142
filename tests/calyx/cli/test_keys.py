"""`calyx keys`: real files with the right modes, and a roster that nobody can alter."""

import os
import re
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from calyx.cli import keys
from calyx.cli.main import run
from calyx.errors import UserError
from calyx.secagg.keys import identity_of
from calyx.secagg.roster import fingerprint
from calyx.trust import key_files

DOCS = Path(__file__).parents[3] / "docs" / "keys.md"
SIGN = ["roster", "--consortium", "consortium.key", "--out"]


def calyx_keys(*arguments):
    assert keys.main(list(arguments)) == 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("north", "south"):
        calyx_keys("identity", name)
    calyx_keys("consortium")
    calyx_keys(*SIGN, "r.json", "north.pub", "south.pub")
    return tmp_path


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def private_text(path):
    return "".join(line for line in path.read_text().splitlines() if line.startswith("MC4"))


def test_every_command_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert {line[2] for line in lines} == {"identity", "consortium", "roster", "show"}
    for name in ("south", "west"):  # the other sites, whose engineers read the same page
        calyx_keys("identity", name, "--folder", "site")
    # The page is told by reader: the site looks at the roster that the consortium signs below.
    for line in sorted(lines, key=lambda line: line[2:4] == ["show", "roster.json"]):
        assert line[:2] == ["calyx", "keys"]
        assert run(line[1:]) == 0
    said = capsys.readouterr().out
    assert re.search(r"added +west", said)
    assert re.search(r"removed +south", said)
    assert "version 2" in said


@pytest.mark.e2e
def test_the_program_has_the_command(calyx, tmp_path):
    ended = calyx("keys", "identity", "north", "--folder", "new/site")
    assert (ended.returncode, ended.stderr) == (0, "")
    made = key_files.read_identity(tmp_path / "new/site/north.key")
    assert fingerprint(identity_of(made)) in " ".join(ended.stdout.split())
    again = calyx("keys", "identity", "north", "--folder", "new/site")
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (2, "", 1)


def test_a_private_key_is_its_owners_alone_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        key_files.make_key("identity", "north", tmp_path)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "north.key").stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["north.key", "north.pub"]


def test_a_private_key_is_0600_before_its_first_byte(tmp_path, monkeypatch):
    opened = []
    real = os.open

    def watched(path, flags, mode=0o777, **more):
        descriptor = real(path, flags, mode, **more)
        if flags & os.O_CREAT:
            state = os.fstat(descriptor)
            opened.append((bool(flags & os.O_EXCL), stat.S_IMODE(state.st_mode), state.st_size))
        return descriptor

    monkeypatch.setattr(os, "open", watched)
    key_files.make_key("identity", "north", tmp_path)
    assert opened[0] == (True, 0o600, 0)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not here")
def test_openssl_reads_the_same_key(folder):
    ended = subprocess.run(
        ["openssl", "pkey", "-in", "north.key", "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    assert ended.stdout.endswith(key_files.read_public(folder / "north.pub").key)


def test_no_action_shows_a_private_key(folder, capfd):
    calyx_keys("identity", "west")
    calyx_keys("show", *sorted(p.name for p in folder.iterdir()))
    calyx_keys(*SIGN, "r.json", "--previous", "r.json", "north.pub", "west.pub")
    run(["keys", *SIGN, "x.json", "north.key", "--debug"])
    run(["keys", "identity", "north", "--debug"])
    said = "".join(capfd.readouterr())
    for name in ("north", "west", "consortium"):
        text = private_text(folder / f"{name}.key")
        pem = (folder / f"{name}.key").read_bytes()
        raw = key_files.parse_private(Path(), pem, 0o600, "").raw
        assert len(text) == 64
        assert not [secret for secret in (text, raw.hex(), repr(raw)) if secret in said]


def test_a_private_key_is_not_in_its_repr(folder):
    found = key_files.read_any(folder / "north.key")
    assert repr(found.raw) not in repr(found)


def test_show_tells_a_file_by_what_it_holds_and_not_by_its_name(folder, capsys):
    for old, new in (("north.key", "a.pub"), ("south.pub", "b.json"), ("consortium.key", "c")):
        os.rename(old, new)
    os.rename("r.json", "d.key")
    capsys.readouterr()
    calyx_keys("show", "a.pub", "b.json", "c", "d.key")
    said = capsys.readouterr().out
    for line in (
        "a.pub: private key, a site's identity",
        "b.json: public key, a site's identity",
        "c: private key, the consortium's",
        "d.key: roster, version 1, 2 clients",
    ):
        assert line in said
    for key in (folder / "b.json", folder / "consortium.pub"):
        public = key_files.parse_public(key, key.read_bytes())
        assert fingerprint(public.key) in " ".join(said.split())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700])
def test_a_wider_mode_is_shown_and_refused_for_use(folder, capsys, mode):
    (folder / "north.key").chmod(mode)
    capsys.readouterr()
    calyx_keys("show", "north.key")
    said = capsys.readouterr().out
    assert "wider than 0600: chmod 600 north.key" in said
    assert "fingerprint" in said
    with pytest.raises(UserError, match=f"has mode {mode:04o}.*chmod 600"):
        key_files.read_identity(folder / "north.key")


def test_show_goes_on_after_a_file_that_it_cannot_show(folder, capsys):
    capsys.readouterr()
    assert run(["keys", "show", "nothing", "north.pub"]) == 2
    said = capsys.readouterr()
    assert "north.pub: public key" in said.out
    assert said.err == "calyx: There is no key or roster nothing; give the path of one.\n"


def test_the_roster_holds_the_sites_keys_and_the_consortiums_signature(folder):
    roster = key_files.read_roster_file(folder / "r.json")
    assert (roster.version, [name for name, _ in roster.clients]) == (1, ["north", "south"])
    assert roster.key(0) == identity_of(key_files.read_identity(folder / "north.key"))
    assert roster.consortium == identity_of(key_files.read_consortium(folder / "consortium.key"))


def test_a_new_roster_has_the_next_version_and_says_what_changed(folder, capsys):
    (folder / "north.key").rename("old.key")
    (folder / "north.pub").rename("old.pub")
    for name in ("north", "west"):
        calyx_keys("identity", name)
    capsys.readouterr()
    calyx_keys(*SIGN, "r.json", "--previous", "r.json", "north.pub", "west.pub")
    said, warned = capsys.readouterr()
    for what, name in (("added", "west"), ("removed", "south"), ("changed key", "north")):
        assert re.search(rf"{what} +{name}\n", said)
    assert warned.startswith("warning: 1 of 2 sites of version 1 may take part no more: south.")
    assert key_files.read_roster_file(folder / "r.json").version == 2


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_fingerprint_is_two_lines_of_six_groups_at_any_width(folder, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width + 20))
    capsys.readouterr()
    calyx_keys("show", "r.json")
    lines = re.findall(r"(?<!\d)\d{5}(?: \d{5}){5}(?!\d)", capsys.readouterr().out)
    assert len(lines) == 6


def test_neither_file_stays_when_the_second_cannot_be_written(tmp_path, monkeypatch):
    real, calls = os.link, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(UserError, match=r"north\.pub cannot be written: No space left"):
        key_files.make_key("identity", "north", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_half_of_a_roster_stays_when_the_disk_is_full(folder, monkeypatch):
    before = contents(folder)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        keys.main([*SIGN, "r.json", "--previous", "r.json", "north.pub"])
    assert contents(folder) == before


def test_a_disk_that_keeps_no_modes_gets_no_private_key(tmp_path, monkeypatch):
    real = os.open
    monkeypatch.setattr(os, "open", lambda p, f, m=0o777, **k: _widened(real(p, f, m, **k), f))
    with pytest.raises(UserError, match="keeps no file modes"):
        key_files.make_key("identity", "north", tmp_path)
    assert list(tmp_path.iterdir()) == []


def _widened(descriptor, flags):
    if flags & os.O_CREAT:
        os.fchmod(descriptor, 0o777)
    return descriptor
