"""A data set's files: fetched from a server on loopback, checked, kept, or refused in a sentence."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import create_server

import pytest

from calyx.data import download
from calyx.data.download import Source, cache_folder, fetch, read_checked
from calyx.errors import DataError

CONTENT = b"1,2,3\n4,5,6\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "rows.data"


class Origin:
    """What a server on loopback sends for every file, and which paths it was asked for."""

    def __init__(self) -> None:
        self.content, self.status, self.asked = CONTENT, 200, list[str]()
        self.length: int | None = None  # that it announces; the content's own if None
        self.url = ""

    def source(self) -> Source:
        return Source(NAME, SHA256, self.url)


class Answer(BaseHTTPRequestHandler):
    def __init__(self, origin: Origin, *args) -> None:
        self.origin = origin
        super().__init__(*args)

    def do_GET(self) -> None:
        self.origin.asked.append(self.path)
        self.send_response(self.origin.status)
        self.send_header("Content-Length", str(self.origin.length or len(self.origin.content)))
        self.end_headers()
        self.wfile.write(self.origin.content)

    def log_message(self, *args) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "calyx" / "demo"


@pytest.fixture
def origin() -> Iterator[Origin]:
    state = Origin()
    with HTTPServer(("127.0.0.1", 0), partial(Answer, state)) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/folder/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def test_a_file_is_downloaded_once_and_then_read_from_the_cache(origin: Origin, cache: Path):
    assert fetch(origin.source(), "demo") == CONTENT
    assert fetch(origin.source(), "demo") == CONTENT
    assert origin.asked == [f"/folder/{NAME}"]
    assert [file.name for file in cache.iterdir()] == [NAME]  # no part of a file is left beside it


def test_a_damaged_file_in_the_cache_is_replaced(origin: Origin, cache: Path):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT[:-1])
    assert fetch(origin.source(), "demo") == CONTENT
    assert (cache / NAME).read_bytes() == CONTENT


def test_another_file_than_expected_is_refused_and_not_kept(origin: Origin, cache: Path):
    origin.content = b"<html>The file has moved.</html>"
    with pytest.raises(DataError, match=r"SHA-256 differs.*task\.data_dir=FOLDER"):
        fetch(origin.source(), "demo")
    assert not (cache / NAME).exists()


def test_an_answer_that_breaks_off_is_refused_and_not_kept(origin: Origin, cache: Path):
    origin.content, origin.length = CONTENT[:4], len(CONTENT)
    with pytest.raises(DataError, match=r"task\.data_dir=FOLDER"):
        fetch(origin.source(), "demo")
    assert not (cache / NAME).exists()


def test_a_servers_error_names_the_url_and_the_way_out(origin: Origin):
    origin.status = 404
    with pytest.raises(DataError) as caught:
        fetch(origin.source(), "demo")
    assert f"{origin.url}{NAME}" in str(caught.value)
    assert "Not Found" in str(caught.value)
    assert "task.data_dir=FOLDER" in str(caught.value)


def test_without_a_network_the_sentence_names_the_url_and_the_way_out():
    with create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with pytest.raises(DataError) as caught:  # the port is closed again: nobody answers
        fetch(Source(NAME, SHA256, url), "demo")
    assert f"{url}{NAME}" in str(caught.value)
    assert "task.data_dir=FOLDER" in str(caught.value)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("calyx.data.download.TIMEOUT_S", 0.1)
    with create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(DataError, match="timed out"):
            fetch(Source(NAME, SHA256, url), "demo")


def test_a_cache_that_cannot_be_written_is_told_with_the_way_out(origin: Origin, cache: Path):
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"XDG_CACHE_HOME.*task\.data_dir=FOLDER"):
        fetch(origin.source(), "demo")


def test_the_cache_is_below_the_home_folder_where_no_other_is_set(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("demo") == tmp_path / ".cache" / "calyx" / "demo"


def test_a_folder_of_the_users_is_read_and_nothing_is_downloaded(origin: Origin, tmp_path: Path):
    (tmp_path / NAME).write_bytes(CONTENT)
    assert read_checked(origin.source(), tmp_path, "demo") == CONTENT
    assert origin.asked == []


def test_a_folder_that_is_absent_empty_or_holds_another_file_is_refused(tmp_path: Path):
    source = Source(NAME, SHA256, "https://example.org/")
    with pytest.raises(DataError, match="is no folder"):
        read_checked(source, tmp_path / "absent", "demo")
    with pytest.raises(DataError, match=f"holds no {NAME}"):
        read_checked(source, tmp_path, "demo")
    (tmp_path / NAME).write_bytes(CONTENT + b"7,8,9\n")
    with pytest.raises(DataError, match=r"SHA-256 differs.*https://example\.org/"):
        read_checked(source, tmp_path, "demo")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / NAME).write_bytes(CONTENT)

    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(download, "plain", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        read_checked(Source(NAME, SHA256, "https://example.org/"), tmp_path, "demo")
