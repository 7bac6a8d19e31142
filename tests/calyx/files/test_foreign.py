"""What somebody else has made: links, pipes, other owners, and texts that stand for too much."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from calyx.errors import UserError
from calyx.files import foreign
from calyx.files.foreign import (
    check_links,
    check_own,
    check_plain,
    dump_yaml,
    parse_json,
    parse_yaml,
    read_object,
)


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "socket", "inner"])
def test_a_folder_holds_plain_files_and_folders_only(tmp_path, monkeypatch, kind):
    folder, planted = tmp_path / "run", tmp_path / "run" / "checkpoints" / "planted"
    planted.parent.mkdir(parents=True)
    (folder / "rounds.jsonl").write_text("{}\n")
    (tmp_path / "way-in").symlink_to(folder)
    check_links(tmp_path / "way-in")  # what the user names may be a link
    if kind == "pipe":
        os.mkfifo(planted)
    elif kind == "socket":
        monkeypatch.chdir(planted.parent)  # a socket's path is short
        socket.socket(socket.AF_UNIX).bind("planted")
    elif kind == "inner":
        planted.symlink_to("../rounds.jsonl")
    else:
        planted.symlink_to(tmp_path if kind == "link" else "nowhere")
    with pytest.raises(UserError, match=r"planted is (a link|neither a file nor a folder)"):
        check_links(folder)
    with pytest.raises(UserError, match="planted is"):
        check_plain(planted)
    check_plain(folder / "absent")


def test_a_folder_without_end_is_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "MOST_ENTRIES", 3)
    for i in range(4):
        (tmp_path / str(i)).mkdir()
    with pytest.raises(UserError, match="holds more than 3 files"):
        check_links(tmp_path)


def test_a_folder_of_another_user_is_not_written_and_one_that_only_looks_so_is(
    tmp_path, monkeypatch
):
    """Disks over a network show owners of their own: there a new file has the folder's."""
    check_own(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    check_own(tmp_path)
    monkeypatch.setattr(foreign, "_owner_here", lambda _: tmp_path.stat().st_uid + 1)
    with pytest.raises(UserError, match=r"belongs to another user.*`cp -r`"):
        check_own(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_ours_in_room_that_somebody_made_is_ours(tmp_path, monkeypatch):
    """As in a container, whose mounted folder is of the user outside."""
    (tmp_path / "config.yaml").touch()
    real = os.stat(tmp_path).st_uid
    other = SimpleNamespace(st_uid=real + 1)
    monkeypatch.setattr(
        Path,
        "stat",
        lambda path, follow_symlinks=True: other if follow_symlinks else os.lstat(path),
    )
    check_own(tmp_path)
    (tmp_path / "config.yaml").unlink()
    monkeypatch.setattr(foreign, "_owner_here", lambda _: real)
    with pytest.raises(UserError, match="belongs to another user"):
        check_own(tmp_path)


def test_without_files_that_have_no_name_an_owner_is_known_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY, raising=False)  # as a disk that has none
    assert foreign._owner_here(tmp_path) == os.geteuid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "an alias .*line 2, column 8"),
        ("a: &a [*a]", "an alias .*line 1, column 8"),
        ("a: {b: &b {c: 1}}\nd: {<<: *b}", "an alias .*line 2"),
        ("[" * 60 + "]" * 60, "20 values or 50 levels"),
        ("- 1\n" * 30, "20 values or 50 levels"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    ],
)
def test_yaml_is_counted_before_it_is_built(monkeypatch, text, said):
    monkeypatch.setattr(foreign, "MOST_VALUES", 20)
    built = []
    monkeypatch.setattr(yaml, "load", lambda *a: built.append(a) or yaml.load_all(*a).__next__())
    with pytest.raises((yaml.YAMLError, ValueError), match=f"(?s){said}"):
        parse_yaml(text)
    assert bool(built) == ("python/object" in text)


def test_what_stands_twice_in_a_config_is_written_twice():
    shared = ["a", {"b": [1]}]
    values = {"one": shared, "two": shared, "text": "${oc.env:HOME}"}
    assert parse_yaml(dump_yaml(values)) == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": {"b": 1, "b": 2}}', "stands twice"),
        (b"[" * 100_000, "inside one another"),
        (b"[" + b"[]," * 40 + b"[]]", "more than 40 brackets"),
        (b'{"a": ' + b"9" * 5000 + b"}", "more than 4,300 digits"),
        (b'{"a": "\xff"}', "UTF-8"),
    ],
)
def test_json_that_is_none_or_stands_for_too_much_is_refused(tmp_path, monkeypatch, text, said):
    monkeypatch.setattr(foreign, "MOST_BRACKETS", 40 if b"[]" in text else 10**6)
    with pytest.raises(ValueError, match=said):
        parse_json(text)
    (tmp_path / "x.json").write_bytes(text)
    with pytest.raises(ValueError, match=said):
        read_object(tmp_path / "x.json")


def test_a_json_file_is_an_object_of_a_bounded_size(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": [1, 1e3, null, "b"]}')
    assert read_object(path) == {"a": [1, 1000.0, None, "b"]}
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_object(path, 10)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="no JSON object"):
        read_object(path)
