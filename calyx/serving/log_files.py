"""Files of the log of decisions as bytes: one that grows line by line, and where a chain ended.

It signs nothing and judges nothing: see `calyx.serving.decisions` and `calyx.serving.log_check`.
"""

import errno
import hashlib
import os
import secrets
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Self

from calyx.errors import CalyxError, UserError
from calyx.files.outputs import show_path
from calyx.files.plain import inner, write_atomically
from calyx.serving.log_lines import (
    MOST_LINE_BYTES,
    NO_LINE,
    hash_line,
    list_files,
    parse_begin,
    read_line,
)

PRIVATE_MODE = 0o600


class NotLogged(CalyxError):
    """What must be written before an answer could not be, so that the answer is a 503."""


@dataclass(frozen=True)
class LastLine:
    """Where a replica's chain ends, so that another file can go on from there."""

    log: str  # 32 hex digits
    file: int = 0  # number of its last file; 0 where there is none
    number: int = 0  # of its last line
    hash: str = NO_LINE  # SHA-256 of that line, in hex
    torn_bytes: int = 0  # of a line that a crash cut off after it
    torn_sha256: str = ""


class LogFile:
    """An open file that grows by whole lines. One thread at a time uses it."""

    def __init__(self, file: FileIO, size: int) -> None:
        self._file, self.size = file, size  # bytes of whole lines

    @classmethod
    def start(cls, path: Path, first: bytes) -> Self:
        """Make a file whose first line is there from the beginning, and survives. Raises OSError."""
        if os.path.lexists(path):
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        write_atomically(path, first, PRIVATE_MODE)
        return cls(FileIO(str(path), "ab", opener=inner), len(first))

    def append(self, lines: bytes) -> None:
        """Write by one call of the system, whole or not at all. Raises OSError, as for a full disk."""
        try:
            if self._file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._file.fileno(), self.size)
            raise
        self.size += len(lines)

    def sync(self) -> None:
        """Make all of it survive a loss of power. Raises OSError."""
        os.fsync(self._file.fileno())

    def twin(self) -> "LogFile":
        """The same file, open once more, to be synced while this one grows or is closed."""
        return LogFile(FileIO(os.dup(self._file.fileno()), "ab"), self.size)

    def close(self) -> None:
        """Let it go; what was appended stays."""
        self._file.close()


def find_end(folder: Path, replica: int) -> LastLine:
    """Where the chain of a replica ends; a chain that is new where there is no file of it.

    What a crash cut off stays as it is, and is told, so that the next file says it. Raises OSError, and
    UserError for a file that no log ends with.
    """
    files = list_files(folder).get(replica, {})
    if not files:
        return LastLine(secrets.token_hex(16))
    number, path = max(files.items())
    with open(path, "rb", opener=inner) as file:
        first = read_line(file.readline(MOST_LINE_BYTES).removesuffix(b"\n"))
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - 2 * MOST_LINE_BYTES))
        tail = file.read(2 * MOST_LINE_BYTES)
    end = tail.rfind(b"\n")
    before = tail.rfind(b"\n", 0, max(end, 0))
    last = read_line(tail[before + 1 : end]) if end >= 0 and (before >= 0 or start == 0) else None
    begin = None if first is None else parse_begin(first)
    if last is None or begin is None:
        raise UserError(
            f"{show_path(path)} is damaged, so that no line can follow its last one: see what `calyx "
            f"verify-log` says of it, and move {show_path(folder)} away to begin another log."
        )
    torn = tail[end + 1 :]
    torn_hash = hashlib.sha256(torn).hexdigest() if torn else ""
    return LastLine(
        begin.log, number, last.number, hash_line(tail[before + 1 : end]), len(torn), torn_hash
    )
