"""`calyx keys gateway`: what its commands make of the file, as a gateway then sees it."""

import json
import re
import stat
from pathlib import Path

import pytest

from calyx.cli import keys
from calyx.errors import UserError
from calyx.serving.api_keys import KeyRing, why_over


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> None:
    assert keys.main(["gateway", *words]) == 0


def add(name: str, *words: str) -> str:
    Path("made").unlink(missing_ok=True)
    run("add", name, "--scope", "predict", "--out", "made", *words)
    return Path("made").read_text().strip()


def find(text: str):
    return KeyRing(Path("gateway.json")).find(text)


def test_an_added_key_opens_what_it_was_made_for_and_is_shown_once(capsys):
    run("add", "ward", "--scope", "predict", "--scope", "docs", "--expires", "12h", "--rows", "500")
    shown = re.search(r"calyx_\S+", capsys.readouterr().out)
    assert shown is not None
    entry = find(shown[0])
    assert entry is not None
    assert (entry.name, entry.scopes, entry.rows_per_day) == ("ward", ("predict", "docs"), 500)
    run("list")
    listed = capsys.readouterr().out
    assert shown[0] not in listed
    assert entry.id[:8] in listed
    assert stat.S_IMODE(Path("gateway.json").stat().st_mode) == 0o600


def test_a_key_put_into_a_file_is_its_owners_alone_and_not_on_the_screen(capsys):
    key = add("ward")
    assert find(key) is not None
    assert stat.S_IMODE(Path("made").stat().st_mode) == 0o600
    assert key not in capsys.readouterr().out


def test_revoking_ends_all_keys_of_a_caller_or_the_one_with_the_id():
    first, second, other = add("ward"), add("ward"), add("lab")
    run("revoke", "ward", "--id", first.split("_")[1])
    assert [why_over(find(key), 0) for key in (first, second, other)] == ["revoked", None, None]
    run("revoke", "ward")
    assert [why_over(find(key), 0) for key in (first, second, other)] == [
        "revoked",
        "revoked",
        None,
    ]
    with pytest.raises(UserError, match="no key of ward that holds"):
        run("revoke", "ward")


def test_a_rotated_key_is_like_the_last_one_which_ends_after_the_overlap():
    old = add("ward", "--requests", "7")
    run("rotate", "ward", "--overlap", "1h", "--out", "new")
    new = find(Path("new").read_text().strip())
    assert new is not None
    assert (new.scopes, new.requests_per_minute) == (("predict",), 7)
    before = find(old)
    assert before is not None
    created = json.loads(Path("gateway.json").read_text())["keys"][1]["created"]
    assert before.expires[:13] != before.created[:13] or before.expires > created
    assert before.expires < new.expires


@pytest.mark.parametrize(
    "words",
    [
        ("add", "ward", "--scope", "all"),
        ("add", "ward"),
        ("add", "../ward", "--scope", "docs"),
        ("add", "jwt:ward", "--scope", "docs"),
        ("add", "ward\n", "--scope", "docs"),
        ("add", "ward", "--scope", "docs", "--expires", "never"),
        ("add", "ward", "--scope", "docs", "--expires", "0d"),
        ("add", "ward", "--scope", "docs", "--expires", "99999d"),
        ("add", "ward", "--scope", "docs", "--rows", "0"),
        ("add", "ward", "--scope", "docs", "--file", "none/keys.json"),
        ("rotate", "ward"),
        ("revoke", "ward"),
        ("list",),
    ],
    ids=" ".join,
)
def test_a_mistake_is_a_sentence_and_makes_no_file(words):
    with pytest.raises(UserError):
        run(*words)
    assert not Path("gateway.json").exists()


def test_a_damaged_file_is_not_replaced():
    Path("gateway.json").write_text("{")
    Path("gateway.json").chmod(0o600)
    with pytest.raises(UserError, match="damaged"):
        add("ward")
    assert Path("gateway.json").read_text() == "{"
    assert not Path("made").exists()
