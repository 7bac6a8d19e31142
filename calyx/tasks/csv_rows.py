"""The rows of a CSV file as Python's csv module has them (RFC 4180), each with its line.

Lines and rows are counted against each other: what could be rows and stands inside quotation marks, a
row with too few or too many cells, and an empty line that could be a row are refused, with the line
as an editor counts it.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from calyx.errors import DataError, printable
from calyx.sentences import counted

BREAK = re.compile(r"\r\n|\r|\n")
BEGINNINGS = {  # what a file begins with, the encoding that it shows, and those that read it
    b"\xef\xbb\xbf": ("utf-8", ("utf8",)),
    b"\xff\xfe": ("utf-16", ("utf16", "utf32", "utf16le", "utf32le")),
    b"\xfe\xff": ("utf-16", ("utf16", "utf16be")),
}
MOST = csv.field_size_limit()  # characters of a cell
DOUBLED = 'double a mark that is part of a text ("")'


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ("", "NA", "NaN", "?")  # cells that hold no value
    thousands: str | None = None  # the mark between groups of three digits; None: there is none
    line_breaks: bool = False  # whether a quoted cell may hold whatever stands on several lines


def read_rows(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row, and the line where it begins; the first line's names come first.

    An empty line is no row. All rows have as many cells as there are names, or all have the same
    number of empty cells more at their ends. Raises DataError, also in the middle.
    """
    begin, width, last = 1, None, [""]
    with _told(path, dialect), path.open(encoding=dialect.encoding, newline="") as file:
        rows = csv.reader(
            _lines(path, file, last),
            delimiter=dialect.delimiter,
            skipinitialspace=dialect.delimiter != " ",
            strict=True,
        )
        try:
            for row in rows:
                if rows.line_num > begin:
                    _check_breaks(path, dialect, (begin, row), width)
                if len(row) > 1 or not _is_empty(path, begin, (row, last[0]), width):
                    if width is None:
                        _check_names(path, begin, row)
                        width = _Width(path, dialect.delimiter, row)
                    else:
                        width.check(begin, row)
                    yield begin, row
                begin = rows.line_num + 1
        except csv.Error as error:
            lines = (begin, rows.line_num)
            raise DataError(_fault(path, dialect, lines, str(error), width)) from None
    if width is None:
        raise DataError(f"{path} is empty; its first line must name the columns.")


class _Width:
    """How many cells each row must have: as there are names, or some empty ones more, as the first row.

    Were a single row allowed more, a delimiter in a text without marks could move its cells to other
    columns, and an empty one out of sight.
    """

    def __init__(self, path: Path, delimiter: str, header: list[str]) -> None:
        self._path, self._delimiter, self.header = path, delimiter, header
        self.names = self._cells = len(header)
        self._first = 0

    def check(self, line: int, row: list[str]) -> None:
        """Raises DataError with the line of a row that has too few cells, or too many."""
        if not self._first:
            self._first, self._cells = line, max(len(row), self.names)
        cells, is_empty = len(row), not any(cell.strip() for cell in row[self.names :])
        if cells == self._cells and is_empty:
            return
        if is_empty and self.names <= cells < self._cells:  # the first has more, as only all might
            line, cells = self._first, self._cells
        help_ = (
            f"quote a text that holds a {self._delimiter!r}, or see decimal in the schema"
            if cells > self.names
            else f"between two {self._delimiter!r} a cell may be empty, and none may be left out"
        )
        raise DataError(
            f"{self._path}, line {line}: {counted(cells, 'cell')}, and the first line names "
            f"{counted(self.names, 'column')}; {help_}."
        )


def _column(width: _Width | None, place: int) -> str:
    """The name of a row's cell, in brackets; nothing where it has none."""
    name = "" if width is None else "".join(width.header[place : place + 1]).strip()
    return f" (column {printable(name, 40)})" if name else ""


def _lines(path: Path, file: Iterable[str], last: list[str]) -> Iterator[str]:
    # `last` shows the line that was read last: of the cells of a row one cannot tell "" from blanks.
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise DataError(
                f"{path}, line {number}: a zero byte; the file is no text, or of another encoding than "
                "the schema says (utf-16 has such bytes)."
            )
        last[0] = line.removeprefix("\ufeff") if number == 1 else line
        yield last[0]


def _is_empty(path: Path, begin: int, seen: tuple[list[str], str], width: _Width | None) -> bool:
    """Whether a line has nothing in it. Raises DataError where that could be a missing value."""
    row, line = seen
    if row and (row != [""] or line.strip()):
        return False
    if width is not None and width.names == 1:
        raise DataError(
            f"{path}, line {begin} is empty, in a file of one column: a missing value, or nothing? "
            'Write "" for a missing value, and take out a line that is no row.'
        )
    return True


def _check_names(path: Path, line: int, row: list[str]) -> None:
    if row[0].lower().startswith("sep=") and not any(row[1:]):
        raise DataError(
            f"{path}, line {line}: {printable(row[0], 40)!r} is a word to Excel, and names no column; "
            "take the line out, and say delimiter in the schema."
        )


def _check_breaks(
    path: Path, dialect: Dialect, place: tuple[int, list[str]], width: _Width | None
) -> None:
    """Refuse a row over several lines that could be several rows, of which marks have made one.

    Two stray marks join rows to one row of the right width only where as many delimiters stand inside
    cells of several lines as a row has: with fewer, such a cell is a text with line ends and nothing
    else. What stands in a cell of one line has joined nothing.
    """
    line, row = place
    inside = sum(cell.count(dialect.delimiter) for cell in row if BREAK.search(cell))
    if dialect.line_breaks or inside < (width.names - 1 if width else min(1, len(row) - 1)):
        return
    for i, cell in enumerate(row):
        breaks = len(BREAK.findall(cell))
        if breaks:
            column = _column(width, i)
            raise DataError(
                f"{path}, line {line}: a quotation mark is opened and closed in line {line + breaks}"
                f"{column}, and what stands between could be rows of their own; {DOUBLED}, or say "
                "line_breaks: true in the schema if it is one cell."
            )


def _fault(
    path: Path, dialect: Dialect, lines: tuple[int, int], error: str, width: _Width | None
) -> str:
    """What is wrong with a cell of the row in these lines, in a sentence, where csv says `error`."""
    begin, end = lines
    with path.open(encoding=dialect.encoding, newline="") as file:
        text = "".join(islice(file, begin - 1, end))
    blanks = "" if dialect.delimiter == " " else " *"
    cell = re.compile(rf'{blanks}(?:"(?:[^"]|"")*("?)|[^{re.escape(dialect.delimiter)}\r\n]*)')
    start, place, closed = int(begin == 1 and text.startswith("\ufeff")), 0, begin
    while match := cell.match(text, start):
        opened, closed = closed, closed + len(BREAK.findall(match.group()))
        where, column = f"{path}, line {opened}", _column(width, place)
        rest = text[match.end() : match.end() + 1]
        if match.group(1) == "":
            within = (
                "never closed" if "unexpected end" in error else f"not closed within {MOST:,} signs"
            )
            return f"{where}: a quotation mark is opened and {within}{column}; {DOUBLED}."
        if match.group(1) and rest not in ("", dialect.delimiter, "\r", "\n"):
            if closed == opened:
                return (
                    f"{where}: a text goes on after its closing quotation mark{column}; {DOUBLED}."
                )
            return (
                f"{where}: a quotation mark is opened and closed in line {closed}{column}, where the "
                f"text goes on; {DOUBLED}."
            )
        if rest != dialect.delimiter or match.end() - start > MOST:
            return f"{where}: a cell of more than {MOST:,} signs{column}; shorten it."
        start, place = match.end() + 1, place + 1
    return f"{path}, line {begin}: {printable(error)}."


@contextmanager
def _told(path: Path, dialect: Dialect) -> Iterator[None]:
    """What a system or a codec says of a file, in a sentence."""
    try:
        _check_beginning(path, dialect)
        yield
    except UnicodeError:
        raise DataError(_undecodable(path, dialect)) from None
    except LookupError:
        raise DataError(
            f"There is no encoding {printable(dialect.encoding)}; see the schema."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None


def _check_beginning(path: Path, dialect: Dialect) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(
            f"{path} is a pipe or a device, which can be read once; save its rows first."
        )
    with path.open("rb") as file:
        first = file.read(3)
    name = re.sub("[^a-z0-9]", "", dialect.encoding.lower()).removesuffix("sig")
    for mark, (shown, readers) in BEGINNINGS.items():
        if first.startswith(mark) and name not in readers:
            raise DataError(
                f"{path} is not {printable(dialect.encoding)}: it begins as a {shown} file does; say "
                f"encoding: {shown} in the schema, or save it otherwise."
            )


def _undecodable(path: Path, dialect: Dialect) -> str:
    where, byte = "", ""
    try:
        with path.open(encoding=dialect.encoding, newline="", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                lost = re.search("[\udc80-\udcff]", line)
                if lost:
                    where, byte = f", line {number}", f" (byte {ord(lost.group()) - 0xDC00:#04x})"
                    break
    except UnicodeError:
        pass  # a codec that does not go on after a fault: the line stays unsaid
    return (
        f"{path}{where} is not {printable(dialect.encoding)}{byte}; save it so, or name its encoding "
        "in the schema."
    )
