"""`calyx release sign`, `calyx verify` and the keys that they need: one line, and the right exit code."""

import contextlib
import io
import json
import shutil
import stat
import subprocess
from contextlib import redirect_stderr, redirect_stdout

import pytest
from support.releases import make_release, rewrite

from calyx.cli.main import run
from calyx.errors import UserError
from calyx.releases.signers import read_signers
from calyx.trust.signed import check_unsigned, note_signed


def calyx(folder, *words):
    """Run the program's function in `folder`; how it ended, and what it said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = run(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Keys of three signers, the policy of two of them, and a release that nobody has signed."""
    folder = tmp_path_factory.mktemp("house")
    for name in ("anna", "bela", "cleo"):
        assert calyx(folder, "keys", "signer", name, "--folder", "keys").returncode == 0
    publics = [f"keys/{name}.pub" for name in ("anna", "bela", "cleo")]
    ended = calyx(folder, "keys", "signers", "--threshold", "2", "--out", "signers.json", *publics)
    assert ended.returncode == 0, ended.stderr
    make_release(folder / "releases" / "heart-1", signed_by=())
    return folder


@pytest.fixture
def house(made, tmp_path):
    return shutil.copytree(made, tmp_path / "house")


def said(house, *words, code):
    """The one line that the program says."""
    ended = calyx(house, *words)
    assert ended.returncode == code, ended.stdout + ended.stderr
    (line,) = (ended.stderr if code else ended.stdout).splitlines()
    assert "Traceback" not in ended.stderr
    return line


def sign(house, name, folder="releases/heart-1"):
    return calyx(house, "release", "sign", folder, "--key", f"keys/{name}.key")


VERIFY = ("verify", "releases/heart-1", "--signers", "signers.json")


def test_two_of_three_signatures_make_a_release_verify(house):
    assert "It is not signed" in said(house, *VERIFY, code=1)
    assert sign(house, "anna").returncode == 0
    assert "ask bela and cleo" in said(house, *VERIFY, code=1)
    assert "nothing has changed" in sign(house, "anna").stdout
    assert "ask bela and cleo" in said(house, *VERIFY, code=1)
    assert sign(house, "cleo").returncode == 0
    line = said(house, *VERIFY, code=0)
    assert line.startswith("releases/heart-1 is heart version 1 of ")
    assert "signed by anna and cleo" in line


def test_it_is_said_in_json_too(house):
    ended = calyx(house, *VERIFY, "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["verified"] is False
    sign(house, "anna")
    sign(house, "bela")
    make_release(house / "releases" / "heart-2", signed_by=())
    sign(house, "anna", "releases/heart-2")
    sign(house, "bela", "releases/heart-2")
    facts = json.loads(calyx(house, "verify", "releases", *VERIFY[2:], "--json").stdout)
    assert (facts["verified"], facts["version"], facts["signed_by"]) == (True, 2, ["anna", "bela"])
    assert [one["version"] for one in facts["older"]] == [1]
    assert facts["older"][0]["digest"] == facts["parent"]
    assert "a whole chain" in said(house, "verify", "releases", *VERIFY[2:], code=0)
    assert "no way back" in said(house, *VERIFY, "--at-least", "2", code=1)


def test_signers_on_machines_of_their_own_put_their_signatures_together(house):
    for name in ("anna", "cleo"):
        shutil.copytree(house / "releases", house / name)
        assert sign(house, name, f"{name}/heart-1").returncode == 0
        add = ("release", "sign", "releases/heart-1", "--add", f"{name}/heart-1/manifest.sig")
        assert calyx(house, *add).returncode == 0
    assert "signed by anna and cleo" in said(house, *VERIFY, code=0)
    make_release(house / "other" / "heart-1", seed=1, signed_by=("bela",))
    add = ("release", "sign", "releases/heart-1", "--add", "other/heart-1/manifest.sig")
    assert "does not fit" in said(house, *add, code=1)
    assert "signed by anna and cleo" in said(house, *VERIFY, code=0)


def test_without_a_policy_nobody_is_believed(house):
    assert "is not signed" in said(house, *VERIFY[:2], code=1)
    sign(house, "anna")
    assert "--signers FILE" in said(house, *VERIFY[:2], code=2)


def test_a_version_is_signed_once_by_one_key(house):
    """The register beside the key knows what this key has signed, wherever the release came from."""
    assert sign(house, "anna").returncode == 0
    make_release(house / "other" / "heart-1", seed=1, signed_by=())
    ended = sign(house, "anna", "other/heart-1")
    assert ended.returncode == 2
    assert "has signed another release heart of version 1 already" in ended.stderr
    assert not (house / "other/heart-1/manifest.sig").exists()
    make_release(house / "other" / "heart-2", signed_by=())  # a child of what the key refused
    assert sign(house, "anna", "other/heart-2").returncode == 2
    make_release(house / "third" / "liver-1", name="liver", signed_by=())
    assert sign(house, "anna", "third/liver-1").returncode == 0
    shown = calyx(house, "keys", "show", "keys/anna.signed.jsonl").stdout
    assert "release heart 1" in shown
    assert "release liver 1" in shown


def test_what_is_damaged_is_not_signed(house):
    (house / "releases/heart-1/card.html").write_text("<p>another")
    ended = sign(house, "anna")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "card.html is not what was signed" in ended.stderr
    assert not (house / "keys/anna.signed.jsonl").exists()


@pytest.mark.parametrize("wrong", ["releases", "releases/heart-1/card.json", "keys"])
def test_who_names_no_release_leaves_nothing_behind(house, wrong):
    before = sorted(house.rglob("*"))
    ended = calyx(house, "release", "sign", wrong, "--key", "keys/anna.key")
    assert ended.returncode in (1, 2)
    assert sorted(house.rglob("*")) == before


def test_of_two_contents_that_are_signed_at_once_one_is(tmp_path):
    key = tmp_path / "anna.key"
    check_unsigned(key, "release heart", 1, "a" * 64)
    check_unsigned(key, "release heart", 1, "b" * 64)
    note_signed(key, "release heart", 1, "a" * 64)
    with pytest.raises(UserError, match="has signed another release heart of version 1"):
        note_signed(key, "release heart", 1, "b" * 64)


def test_a_page_that_is_not_the_cards_is_not_signed(house):
    release = house / "releases" / "heart-1"
    (release / "card.html").write_text("<p>Everything is fine.</p>")
    rewrite(release)
    line = said(house, "release", "sign", str(release), "--key", "keys/anna.key", code=1)
    assert "its card.html is not the page of its card.json" in line


def test_keys_are_of_a_kind(house):
    """A site's key signs no release, and a signer's no roster."""
    assert calyx(house, "keys", "identity", "north").returncode == 0
    assert calyx(house, "keys", "consortium").returncode == 0
    for key in ("north", "consortium"):
        line = said(house, "release", "sign", "releases/heart-1", "--key", f"{key}.key", code=2)
        assert "and a release signer's is needed" in line
    roster = ("keys", "roster", "--out", "r.json", "--consortium")
    assert "the consortium's is needed" in said(
        house, *roster, "keys/anna.key", "north.pub", code=2
    )
    assert "no site's" in said(house, *roster, "consortium.key", "keys/anna.pub", code=2)
    policy = ("keys", "signers", "--threshold", "1", "--out", "x.json")
    assert "is needed" in said(house, *policy, "north.pub", code=2)
    assert stat.S_IMODE((house / "keys/anna.key").stat().st_mode) == 0o600
    (house / "keys/anna.key").chmod(0o644)
    assert "wider than 0600" in sign(house, "anna").stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--threshold", "0", "keys/anna.pub"), "0 signatures of 1 keys"),
        (("--threshold", "2", "keys/anna.pub"), "2 signatures of 1 keys"),
        (("--threshold", "1", "keys/anna.pub", "keys/anna.pub"), "the same name"),
        (("--threshold", "1", "keys/anna.pub", "keys/hanna.pub"), "damaged or altered"),
    ],
)
def test_a_policy_that_counts_wrongly_is_refused(house, words, why):
    text = (house / "keys/anna.pub").read_text()
    (house / "keys/hanna.pub").write_text(text.replace("anna", "hanna"))
    assert why in said(house, "keys", "signers", "--out", "x.json", *words, code=2)
    assert not (house / "x.json").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda policy: policy | {"threshold": 4},
        lambda policy: policy | {"threshold": 0},
        lambda policy: policy | {"threshold": True},
        lambda policy: policy | {"format": "calyx-signers/2"},
        lambda policy: policy | {"extra": 1},
        lambda policy: policy | {"signers": dict.fromkeys(("a", "b"), "00" * 32)},
        lambda policy: policy | {"signers": {"a": "00" * 31}},
        lambda policy: policy | {"signers": {"../a": "00" * 32}, "threshold": 1},
        lambda policy: policy | {"signers": {"аnna": "00" * 32, "anna": "11" * 32}},
        lambda policy: policy | {"signers": {"Anna": "00" * 32, "anna": "11" * 32}},
        lambda policy: [policy],
    ],
)
def test_a_policy_that_somebody_wrote_wrongly_is_refused(house, change):
    path = house / "signers.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    assert "calyx keys signers" in said(house, *VERIFY, code=2)


def test_a_policy_is_shown_with_fingerprints(house):
    assert read_signers(house / "signers.json").threshold == 2
    shown = calyx(house, "keys", "show", "signers.json").stdout
    assert "2 of 3 must sign a release" in shown
    own = calyx(house, "keys", "show", "keys/bela.pub").stdout
    assert own.split("fingerprint")[1].split()[:6] == shown.split("bela")[1].split()[:6]
