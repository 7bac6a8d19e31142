"""Files are whole or absent; lines grow, and a cut-off one is not read."""

import os
import resource
import signal
from pathlib import Path

import pytest

from calyx.errors import UserError
from calyx.files import append_lines, read_lines, user_folder, write_atomically, write_json


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def broken(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"


def test_a_first_write_that_fails_leaves_nothing_under_the_name(tmp_path, monkeypatch):
    def broken(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "file", b"half")
    assert list(tmp_path.iterdir()) == []


def test_a_write_is_whole_and_leaves_nothing_beside_it(tmp_path):
    for data in (b"long " * 1000, b"short", b""):
        write_atomically(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_bytes_are_synced_before_they_get_their_name(tmp_path, monkeypatch):
    seen, real = [], os.fsync

    def watched(descriptor):
        seen.append((tmp_path / "file").exists())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_atomically(tmp_path / "file", b"data")
    # The file, then the folder that holds its new name.
    assert seen == [False, True]


def test_nan_never_reaches_a_file(tmp_path):
    for write in (
        lambda: write_json(tmp_path / "a", {"x": float("nan")}),
        lambda: append_lines(tmp_path / "a", [{"x": float("inf")}]),
    ):
        with pytest.raises(ValueError, match="JSON compliant"):
            write()
    assert not (tmp_path / "a").exists()


def test_lines_come_back_without_a_last_one_that_was_cut_off(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert read_lines(path) == []
    append_lines(path, [{"round": 1}, {"round": 2}])
    with path.open("ab") as file:
        file.write(b'{"round": 3')
    assert read_lines(path) == [{"round": 1}, {"round": 2}]


@pytest.mark.parametrize("damage", [b"{oops}\n", b"[1]\n", b"\xff\xfe\n"])
def test_a_damaged_line_is_named(tmp_path, damage):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"round": 1}\n' + damage + b'{"round": 3}\n')
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 2"):
        read_lines(path)


def test_rows_of_which_one_cannot_be_written_leave_the_file_as_it_was(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_lines(path, [{"round": 1}])
    with pytest.raises(ValueError, match="JSON compliant"):
        append_lines(path, [{"round": 2}, {"round": float("nan")}])
    assert read_lines(path) == [{"round": 1}]


def test_a_text_with_line_breaks_stays_on_one_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"message": "one\ntwo\r\u2028three"}, {"message": "é"}]
    append_lines(path, rows)
    assert read_lines(path) == rows
    assert path.read_bytes().count(b"\n") == 2


def test_lines_that_a_full_disk_cuts_off_are_taken_back(tmp_path):
    path = tmp_path / "lines.jsonl"
    append_lines(path, [{"n": 1}])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, limits[1]))
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(OSError, match=r"File too large.*lines\.jsonl"):
            append_lines(path, [{"n": 2, "long": "x" * 100}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    append_lines(path, [{"n": 3}])
    assert read_lines(path) == [{"n": 1}, {"n": 3}]


def test_a_user_without_a_home_is_told_which_variable_helps(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(UserError, match="set XDG_CACHE_HOME to a folder"):
        user_folder("XDG_CACHE_HOME", ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "/tmp/x")
    assert user_folder("XDG_CACHE_HOME", ".cache") == Path("/tmp/x")
