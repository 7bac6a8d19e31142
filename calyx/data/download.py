"""Files of public data sets: fetched once, checked by hash, kept in the user's cache."""

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from calyx.errors import DataError
from calyx.files.plain import plain, user_folder, write_atomically
from calyx.machine.proxies import proxy_for

TIMEOUT_S = 30.0
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Source:
    """A file of a data set: its name, its SHA-256 in hex, and the folder's URL.

    Where copies differ in white space only, `canonical` gives the bytes that the hash is of; it
    takes any bytes and raises nothing.
    """

    name: str
    sha256: str
    folder_url: str
    canonical: Callable[[bytes], bytes] = bytes

    def accepts(self, data: bytes) -> bool:
        """Whether these are the file's bytes."""
        return hashlib.sha256(self.canonical(data)).hexdigest() == self.sha256


def cache_folder(task: str) -> Path:
    """Where this user's downloads for `task` lie."""
    return user_folder("XDG_CACHE_HOME", ".cache") / "calyx" / task


def read_checked(source: Source, folder: Path, task: str) -> bytes:
    """The file's bytes from a folder that the user named. Raises DataError if it is not the file."""
    path = folder / source.name
    if not folder.is_dir():
        raise DataError(
            f"task.data_dir={folder} is no folder; name the one that holds {task}'s files."
        )
    if not path.is_file():
        raise DataError(f"The folder {folder} holds no {source.name}, which task={task} needs.")
    try:
        data = _read(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    if not source.accepts(data):
        raise DataError(
            f"{path} is not the file that task={task} expects (its SHA-256 differs); get the original "
            f"from {source.folder_url}."
        )
    return data


def fetch(source: Source, task: str) -> bytes:
    """The file's bytes from the cache, or else downloaded, checked and kept. Raises DataError."""
    path = cache_folder(task) / source.name
    cached = _read_cached(path)
    if cached is not None and source.accepts(cached):
        return cached
    data = _download(source, task)
    if not source.accepts(data):
        raise DataError(
            f"What {source.folder_url}{source.name} sent is not the file that task={task} expects (its "
            "SHA-256 differs); put the original files in a folder and use task.data_dir=FOLDER."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise DataError(
            f"task={task} cannot keep its files in {path.parent} ({error.strerror}); set XDG_CACHE_HOME "
            "to a folder that you can write to, or use task.data_dir=FOLDER."
        ) from None
    return data


def _read_cached(path: Path) -> bytes | None:
    try:
        return _read(path)
    except OSError:  # absent, or no file that can be read: it is downloaded anew
        return None


def _read(path: Path) -> bytes:
    with open(path, "rb", opener=plain) as file:
        return file.read(MAX_BYTES)


def _download(source: Source, task: str) -> bytes:
    url = source.folder_url + source.name
    proxy = proxy_for(f"{urlsplit(url).hostname}:443") if url.startswith("https:") else None
    try:
        # The URLs are https constants of the tasks; a test serves them on loopback.
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310
            data: bytes = answer.read(MAX_BYTES)
            return data
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        through = f" through {proxy}" if proxy else ""
        raise DataError(
            f"task={task} could not download {url}{through} ({reason}); put its files in a folder and "
            "use task.data_dir=FOLDER."
        ) from None
