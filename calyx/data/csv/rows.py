"""The rows of a CSV file as Python's csv module has them (RFC 4180), each with its line.

Lines and rows are counted against each other: what could be rows and stands inside quotation marks, a
row with too few or too many cells, and an empty line that could be a row are refused, with the line
as an editor counts it. See docs/decisions/0037.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from calyx.data.csv.encodings import encoding_of, translate_errors
from calyx.errors import DataError, printable
from calyx.files.plain import plain
from calyx.words.sentences import say_count

BREAK = re.compile(r"\r\n|\r|\n")
# A word of Excel's: the delimiter of the lines below.
SEPARATOR = re.compile(r'"?sep=([^"\r\n]|\\t)"?\s*', re.IGNORECASE | re.ASCII)
MOST = csv.field_size_limit()  # characters of a cell
DOUBLED = 'double a mark that is part of a text ("")'


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written: encoding, delimiter, decimal sign, and which words stand for missing."""

    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ("", "NA", "NaN", "?")  # cells that hold no value
    thousands: str | None = None  # the mark between groups of three digits; None: there is none
    line_breaks: bool = False  # whether a quoted cell may hold whatever stands on several lines


def read_rows(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row, and the line where it begins; the first line's names come first.

    An empty line is no row, and so is Excel's first line `sep=;`, which says the delimiter of this
    one file. All rows have as many cells as there are names, or all have the same number of empty
    cells more at their ends. Raises DataError, also in the middle.
    """
    with translate_errors(path, dialect.encoding):
        encoding = encoding_of(path, dialect.encoding)

    def reopen() -> TextIO:
        return open(path, encoding=encoding, newline="", opener=plain)

    with translate_errors(path, encoding), reopen() as file:
        yield from _rows(path, file, dialect, reopen)


def read_text_rows(name: Path, text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """As `read_rows`, of a text that is no file; `name` is what sentences call it."""

    def reopen() -> TextIO:
        return io.StringIO(text, newline="")

    return _rows(name, reopen(), dialect, reopen)


def _rows(
    path: Path, file: TextIO, dialect: Dialect, reopen: Callable[[], TextIO]
) -> Iterator[tuple[int, list[str]]]:
    last = [""]
    lines = _lines(path, file, last)
    first = next(lines, "")
    declared = declared_delimiter(first)
    if declared:
        dialect, first = replace(dialect, delimiter=declared), ""
    above = 1 if declared else 0  # lines that the reader of rows does not see
    begin, width = 1 + above, None
    rows = csv.reader(
        chain([first] if first else [], lines),
        delimiter=dialect.delimiter,
        skipinitialspace=dialect.delimiter != " ",
        strict=True,
    )
    try:
        for row in rows:
            end = rows.line_num + above
            if end > begin:
                _check_breaks(path, dialect, begin, row, width)
            if len(row) > 1 or not _is_empty(path, begin, row, last[0], width):
                if width is None:
                    _check_names(path, begin, row)
                    width = _Width(path, dialect.delimiter, row)
                else:
                    width.check(begin, row)
                yield begin, row
            begin = end + 1
    except csv.Error as error:
        with reopen() as again:
            text = "".join(islice(again, begin - 1, rows.line_num + above))
        raise DataError(_fault(path, dialect, begin, text, str(error), width=width)) from None
    if width is None:
        raise DataError(f"{path} is empty; its first line must name the columns.")


def declared_delimiter(line: str) -> str:
    """The delimiter that a file's first line says to Excel, such as `sep=;`; "" of another line."""
    match = SEPARATOR.fullmatch(line)
    return match[1].replace("\\t", "\t") if match else ""


TITLE = "if the first line is a title, take it out, so that the columns' names come first"


class _Width:
    """How many cells each row must have: as there are names, or some empty ones more, as the first row.

    Were a single row allowed more, a delimiter in a text without marks could move its cells to other
    columns, and an empty one out of sight.
    """

    def __init__(self, path: Path, delimiter: str, header: list[str]) -> None:
        self._path, self._delimiter, self.header = path, delimiter, header
        self.names = self._cells = len(header)
        self._first = 0

    @property
    def has_rows(self) -> bool:
        """Whether a row was seen below the names."""
        return self._first > 0

    def check(self, line: int, row: list[str]) -> None:
        """Raises DataError with the line of a row that has too few cells, or too many."""
        is_first = not self.has_rows
        if is_first:
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
        if is_first and self.names == 1:
            help_ += f"; {TITLE}"
        elif is_first and cells == self.names + 1:
            help_ += "; if rows begin with a name or number of their own, name it in the first line"
        raise DataError(
            f"{self._path}, line {line}: {say_count(cells, 'cell')}, and the first line names "
            f"{say_count(self.names, 'column')}; {help_}."
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


def _is_empty(path: Path, begin: int, row: list[str], line: str, width: _Width | None) -> bool:
    """Whether a line has nothing in it. Raises DataError where that could be a missing value."""
    if row and (row != [""] or line.strip()):
        return False
    if width is not None and width.names == 1:
        more = "" if width.has_rows else f"; {TITLE}"
        raise DataError(
            f"{path}, line {begin} is empty, in a file of one column: a missing value, or nothing? "
            f'Write "" for a missing value, and take out a line that is no row{more}.'
        )
    return True


def _check_names(path: Path, line: int, row: list[str]) -> None:
    if row[0].lower().startswith("sep=") and not any(row[1:]):
        raise DataError(
            f"{path}, line {line}: {printable(row[0], 40)!r} is a word to Excel, and names no column; "
            "take the line out, and say delimiter in the schema."
        )


def _check_breaks(
    path: Path, dialect: Dialect, line: int, row: list[str], width: _Width | None
) -> None:
    """Refuse a row over several lines that could be several rows, of which marks have made one.

    Two stray marks join rows to one row of the right width only where as many delimiters stand inside
    cells of several lines as a row has: with fewer, such a cell is a text with line ends and nothing
    else. What stands in a cell of one line has joined nothing.
    """
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
    path: Path, dialect: Dialect, begin: int, text: str, error: str, *, width: _Width | None
) -> str:
    """What is wrong with a cell of the row that is `text` from line `begin` on, of which csv says `error`."""
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
