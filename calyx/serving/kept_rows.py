"""Rows of requests, kept encrypted where serve.log.keep_rows asks for it. Decision 0091.

The gateway has the public key only: what it has written it cannot read. Each request's rows are sealed by
themselves and bound to its id; the decision's line has the SHA-256 of the sealed bytes, so that rows of
another request, or other rows, show. Files are of one day, and go after serve.log.rows_days, or earlier,
the oldest first, where all of them have more than serve.log.rows_bytes.
"""

import base64
import hashlib
import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from calyx.files.outputs import show_path
from calyx.files.plain import inner, strict_json
from calyx.secagg.encoding import enc
from calyx.serving.log_config import LogConfig
from calyx.serving.log_files import LogFile, NotLogged
from calyx.trust.sealing import Sealer, unseal

log = logging.getLogger(__name__)
MOST_LINE_BYTES = 2**29  # of the largest body, sealed, in base64
_SHARE = 16  # files that `rows_bytes` is shared by, so that what goes is a small part of it
_NAME = re.compile(r"rows-([1-9][0-9]{0,3})-([0-9]{8})-([0-9]{6})\.jsonl")


class KeptRows:
    """One replica's files of sealed rows. Thread-safe."""

    def __init__(self, folder: Path, public: bytes, config: LogConfig, replica: int = 1) -> None:
        """`public` is whose who may read them: an X25519 key, 32 bytes. Nothing is written yet."""
        self._folder, self._sealer, self._config = folder, Sealer(public), config
        self._replica, self._lock = replica, threading.Lock()
        self._file: LogFile | None = None
        self._is_dirty = False
        self._day = date.min

    def keep(self, request: str, rows: bytes) -> str:
        """Seal the rows of a request, as it sent them; SHA-256 (hex) of what is kept, for its decision.

        Raises NotLogged where there is no room.
        """
        sealed = self._sealer.seal(rows, _bound(request))
        line = strict_json({"request": request, "sealed": base64.b64encode(sealed).decode()})
        with self._lock:
            try:
                self._present().append(line.encode() + b"\n")
                self._is_dirty = True
            except OSError as error:
                raise NotLogged(
                    f"The rows of requests in {show_path(self._folder)} cannot be kept "
                    f"({error.strerror}), and nothing is answered without that; make room."
                ) from None
        return hashlib.sha256(sealed).hexdigest()

    def sync(self) -> None:
        """Make what was kept since the last call survive a loss of power. Raises OSError."""
        with self._lock:
            if self._file is None or not self._is_dirty:
                return
            self._is_dirty = False
            synced = self._file.twin()
        with closing(synced):  # outside the lock: requests do not wait for the disk
            synced.sync()

    def close(self) -> None:
        """Let the file go; what was kept stays."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _present(self) -> LogFile:
        """The day's file, or a new one. Raises OSError."""
        today = datetime.now(UTC).date()
        is_full = self._file is not None and self._file.size > self._config.rows_bytes // _SHARE
        if self._file is None or is_full or today != self._day:
            number = max(self._numbers(today), default=0) + 1
            path = self._folder / f"rows-{self._replica}-{today:%Y%m%d}-{number:06d}.jsonl"
            started = LogFile.start(path, b"")
            if self._file is not None:
                self._file.sync()
                self._file.close()
            self._file, self._day = started, today
            forget_old(self._folder, self._config, today)
        return self._file

    def _numbers(self, day: date) -> Iterator[int]:
        for path in self._folder.iterdir():
            name = _NAME.fullmatch(path.name)
            if name and (name[1], name[2]) == (str(self._replica), f"{day:%Y%m%d}"):
                yield int(name[3])


def forget_old(folder: Path, config: LogConfig, today: date) -> None:
    """Delete files of kept rows that are too old, and the oldest of too many. Raises OSError."""
    first = f"{today - timedelta(days=config.rows_days):%Y%m%d}"
    files = sorted(list_rows(folder), key=lambda path: path.name.split("-")[2:], reverse=True)
    size = 0
    for newer, path in enumerate(files):
        try:
            size += path.lstat().st_size
        except FileNotFoundError:
            continue  # another replica has deleted it
        is_old = path.name.split("-")[2] < first
        if newer and (is_old or size > config.rows_bytes):
            path.unlink(missing_ok=True)
            log.info("Deleted kept rows: %s.", path.name)


def list_rows(folder: Path) -> list[Path]:
    """The files of kept rows in a folder. Raises OSError."""
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]


def find_rows(folder: Path, request: str, kept: str, private: bytes) -> bytes | None:
    """The rows of a request whose decision says `kept`; None where they are there no more.

    Raises ValueError where they do not open with this key, and OSError.
    """
    for path in list_rows(folder):
        with open(path, "rb", opener=inner) as file:
            while line := file.readline(MOST_LINE_BYTES):
                sealed = _read_sealed(line, request)
                if sealed is not None and hashlib.sha256(sealed).hexdigest() == kept:
                    rows = unseal(sealed, private, _bound(request))
                    if rows is None:
                        raise ValueError(f"the rows in {path.name} are sealed for another key")
                    return rows
    return None


def _read_sealed(line: bytes, request: str) -> bytes | None:
    try:
        fields = json.loads(line)
        return base64.b64decode(fields["sealed"]) if fields["request"] == request else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _bound(request: str) -> bytes:
    return enc("calyx-kept-rows/1", request)
