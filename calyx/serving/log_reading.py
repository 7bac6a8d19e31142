"""The lines of a log's files one after another, however long they are. It judges nothing."""

import errno
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from calyx.files.plain import inner
from calyx.serving.log_lines import MOST_LINE_BYTES, Line, read_line

_MOMENT_S = 0.05
# Of what is no line: a hole of a terabyte takes nobody a byte to make, and hours to read.
_LONGEST_BYTES = 2**26


@dataclass(frozen=True)
class Torn:
    """What follows the last line's end of a file: a line that was cut off. Nothing, as a rule."""

    bytes: int = 0
    sha256: str = ""  # in hex; empty where there is nothing


@dataclass(frozen=True)
class Seen:
    """A line as it stands in a file."""

    file: str  # its name
    place: int  # in the file, from 1
    hash: str  # SHA-256 without the line's end, in hex
    line: Line | None  # None: it is no line of a log
    file_number: int
    torn: Torn = Torn()  # of the file before, at the first line of a file


class ChainReader:
    """Iterates over the lines of a chain's files, by number. Afterwards, `torn` is the last file's end.

    A file without a whole line is one line that is none of a log. Raises OSError.
    """

    def __init__(self, files: Mapping[int, Path]) -> None:
        self._files = sorted(files.items())
        self.torn = Torn()
        self.end = ("", 0)  # file and place of the last whole line

    def __iter__(self) -> Iterator[Seen]:
        """Each line, in the order of the chain."""
        for number, path in self._files:
            with open(path, "rb", opener=inner) as file:
                yield from self._read(number, path.name, file)

    def _read(self, number: int, name: str, file: BufferedReader) -> Iterator[Seen]:
        place, before = 0, self.torn
        while True:
            start = file.tell()
            data, digest, size, is_whole = _take_line(file)
            if size and not is_whole:  # a line that is being written looks so for a moment
                time.sleep(_MOMENT_S)
                file.seek(start)
                data, digest, size, is_whole = _take_line(file)
            if not is_whole and place:
                self.torn = Torn(size, digest if size else "")
                return
            place += 1
            self.end = (name, place)
            line = read_line(data) if is_whole and data else None
            yield Seen(name, place, digest, line, number, before)
            if not is_whole:
                self.torn = Torn()
                return
            before = Torn()


def _take_line(file: BufferedReader) -> tuple[bytes, str, int, bool]:
    """Text, SHA-256 (hex) and bytes of the next line without its end; and whether it has one.

    The text of a line that is longer than any of a log is empty. Raises OSError for one that never ends.
    """
    piece = file.readline(MOST_LINE_BYTES + 1)
    if piece.endswith(b"\n"):
        return piece[:-1], hashlib.sha256(piece[:-1]).hexdigest(), len(piece) - 1, True
    hasher, size = hashlib.sha256(piece), len(piece)
    if len(piece) <= MOST_LINE_BYTES:
        return piece, hasher.hexdigest(), size, False
    while piece and not piece.endswith(b"\n"):
        if size > _LONGEST_BYTES:
            what = f"it has a line of more than {_LONGEST_BYTES:,} bytes, as no log has"
            raise OSError(errno.EFBIG, what, str(file.name))
        piece = file.readline(MOST_LINE_BYTES)
        hasher.update(piece.removesuffix(b"\n"))
        size += len(piece.removesuffix(b"\n"))
    return b"", hasher.hexdigest(), size, piece.endswith(b"\n")
