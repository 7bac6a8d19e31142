"""Files are whole or absent; lines grow, and a cut-off one is not read."""

import os
import resource
import signal
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from calyx.errors import UserError
from calyx.files.plain import (
    append_lines,
    ends_whole,
    inner,
    lock_file,
    plain,
    read_lines,
    read_plain,
    user_folder,
    write_atomically,
    write_json,
    write_synced,
)


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


@pytest.mark.parametrize("torn", [b'{"n": 2, "lo', b"\0" * 5000, b"x"])
@pytest.mark.parametrize("whole", [b"", b'{"n": 1}\n'])
def test_a_line_that_a_crash_cut_off_does_not_spoil_the_next_one(
    tmp_path, whole, torn, monkeypatch
):
    monkeypatch.setattr(
        "calyx.files.plain.LONGEST_LINE", 1000
    )  # a tail may be longer than what is read at once
    path = tmp_path / "lines"
    path.write_bytes(whole + torn)
    append_lines(path, [{"n": 3}])
    assert path.read_bytes() == whole + b'{"n": 3}\n'


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


@pytest.fixture
def links(tmp_path):
    """A file of the user's, and links that lead there under the names of a folder's own files."""
    (tmp_path / "precious").write_text("precious\n")
    for name in ("rows.jsonl", "summary.json", ".lock"):
        (tmp_path / name).symlink_to("precious")
    return tmp_path


def test_no_write_follows_a_link(links):
    for write in (
        lambda: append_lines(links / "rows.jsonl", [{"round": 1}]),
        lambda: lock_file(links / ".lock").__enter__(),
        lambda: write_synced(links / "summary.json", b"{}"),
        lambda: inner(str(links / "rows.jsonl"), os.O_WRONLY),
    ):
        with pytest.raises(OSError, match=r"is a link|File exists"):
            write()
    write_json(links / "summary.json", {})  # a name is given anew, whatever had it
    assert (links / "precious").read_text() == "precious\n"
    assert not (links / "summary.json").is_symlink()


def test_a_temporary_name_cannot_be_planted(tmp_path, monkeypatch):
    (tmp_path / "precious").write_text("precious")
    monkeypatch.setattr(os, "urandom", lambda n: bytes(n))  # even if it could be guessed
    (tmp_path / f".calyx-{'00' * 8}.part").symlink_to("precious")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("opener", [plain, inner])
def test_only_plain_files_are_read_and_nobody_waits(tmp_path, opener):
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path / "pipe", "neither"),
        (Path("/dev/zero"), "neither"),
        (tmp_path, ""),
    ):
        with pytest.raises(OSError, match=why):
            opener(str(path), os.O_RDONLY)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_bytes(b"data")
    if opener is plain:
        with open(tmp_path / "link", "rb", opener=plain) as file:
            assert file.read() == b"data"
    with pytest.raises(OSError, match="is a link"):
        read_plain(tmp_path / "link")
    with pytest.raises(OSError, match="more than 3 bytes"):
        read_plain(tmp_path / "file", 3)
    assert read_plain(tmp_path / "file", 4) == b"data"


def test_a_hole_of_a_terabyte_takes_no_memory(tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch()
    os.truncate(path, 2**40)
    tracemalloc.start()
    with pytest.raises(OSError, match="more than 1,073,741,824 bytes"):
        read_plain(path, 2**30)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 2**20


def test_lines_grow_in_a_file_of_their_own(tmp_path):
    """A copy by hard links, as backups are, keeps its lines, and a planted one gets none."""
    path, copy = tmp_path / "rows.jsonl", tmp_path / "copy"
    append_lines(path, [{"n": 1}])
    path.chmod(0o600)
    copy.hardlink_to(path)
    append_lines(path, [{"n": 2}])
    assert (read_lines(path), read_lines(copy)) == ([{"n": 1}, {"n": 2}], [{"n": 1}])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_is_held_by_one_and_empties_no_file(tmp_path):
    (tmp_path / "lock").write_text("kept")
    lock = partial(lock_file, tmp_path / "lock", is_inherited=True)
    with lock() as first, lock() as second:
        assert (first, second) == (True, False)
    assert (tmp_path / "lock").read_text() == "kept"


@pytest.mark.parametrize(("data", "is_whole"), [(b"{}\n", True), (b"{}\n{", False), (b"", False)])
def test_whether_a_line_was_cut_off(tmp_path, data, is_whole):
    path = tmp_path / "rows.jsonl"
    assert ends_whole(path)
    path.write_bytes(data)
    assert ends_whole(path) == is_whole


def test_a_user_without_a_home_is_told_which_variable_helps(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(UserError, match="set XDG_CACHE_HOME to a folder"):
        user_folder("XDG_CACHE_HOME", ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "/tmp/x")
    assert user_folder("XDG_CACHE_HOME", ".cache") == Path("/tmp/x")
