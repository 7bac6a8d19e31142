"""How CSV files of which nothing is known seem to be written: encoding, delimiter, marks in numbers.

A guess, for a draft that its owner corrects; no rows are trained on that are read by it. A schema says
one way of writing for all files, so that a file of another one is refused by its name.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from calyx.data.csv.encodings import BEGINNINGS, check_is_kept, check_is_text, wide
from calyx.data.csv.numbers import number
from calyx.data.csv.rows import Dialect, declared_delimiter, read_rows
from calyx.data.drafting.units import without_unit
from calyx.errors import DataError
from calyx.files.plain import plain

DELIMITERS = ",;\t|"
LONGEST_LINE = 100  # signs of the line that Excel begins with
LOOKED_AT = 50  # rows for the delimiter
MARKED_ROWS = 2000  # rows for the marks in numbers
BLOCK_BYTES = 1_000_000
WAYS = [(d, g) for g in (None, *",. '") for d in ".," if d != g]  # decimal mark, thousands
MARKED = re.compile(r"[0-9][.,'\u2019 \u00a0\u202f\u2009][0-9]")
THREES = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")  # a fraction, or a whole number in groups
SAID_MARK = {",": "commas", ".": "points"}
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
SAID = {mark: f"{name} between its cells" for mark, name in NAMES.items()}


@dataclass(frozen=True)
class Writing:
    """How all files are written, and columns whose numbers can be read in two ways."""

    dialect: Dialect
    doubtful: tuple[str, ...] = ()


def writing_of(paths: Sequence[Path], missing: tuple[str, ...]) -> Dialect:
    """The encoding and the delimiter of all files. Raises DataError where one differs, or is no text."""
    encodings = {path: _encoding(path) for path in paths}
    # A file that begins with a mark is read by it, whatever the schema says of the others.
    own = {path: encoding for path, encoding in encodings.items() if _begins_with_mark(path)}
    others = {path: e for path, e in encodings.items() if path not in own and e != "ascii"}
    alone = next(iter(own.values())) if len(own) == len(paths) else "utf-8"
    encoding = _one(others, "encoding") or alone.replace("ascii", "utf-8")
    delimiters = {
        path: _delimiter(path, e.replace("ascii", "utf-8")) for path, e in encodings.items()
    }
    delimiter = _one({p: d for p, d in delimiters.items() if d}, "delimiter") or ","
    return Dialect(delimiter=delimiter, encoding=encoding, missing=missing)


def _begins_with_mark(path: Path) -> bool:
    with open(path, "rb", opener=plain) as file:
        first = file.read(4)
    return any(first.startswith(mark) for mark in BEGINNINGS)


def _one(by_file: Mapping[Path, str], key: str) -> str | None:
    """What all files have; None of no file. Raises DataError naming one that differs from most."""
    if not by_file:
        return None
    commonest = Counter(by_file.values()).most_common(1)[0][0]
    for path, value in by_file.items():
        if value != commonest:
            other = next(path for path, value in by_file.items() if value == commonest)
            here, there = SAID.get(value, value), SAID.get(commonest, commonest)
            raise DataError(
                f"{path} is written with {here}, and {other.name} with {there}; the schema's {key} is one "
                "for all sites, so save the file again as the others are."
            )
    return commonest


def with_marks(paths: Sequence[Path], names: Sequence[str], dialect: Dialect) -> Writing:
    """Choose the marks of decimals and thousands by which most cells of the first rows are numbers.

    Raises DataError where a file is written in another way than the others.
    """
    marked = {path: _find_marked(path, names, dialect) for path in paths}
    ways = [replace(dialect, decimal=decimal, thousands=mark) for decimal, mark in WAYS]
    reads = {path: [_read(cells, way) for way in ways] for path, cells in marked.items()}
    totals = [sum(counts[i] for counts in reads.values()) for i in range(len(ways))]
    best = ways[totals.index(max(totals))]
    doubtful = [
        name
        for name in names
        if (of := [c for cells in marked.values() for c in cells[name]])
        and all(best.decimal in c and THREES.fullmatch(c) for c in of)
    ]
    grouped = replace(best, decimal="." if best.decimal == "," else ",", thousands=best.decimal)
    is_quoted = best.thousands is None and best.decimal == dialect.delimiter
    if doubtful and is_quoted and totals[ways.index(grouped)] == max(totals):
        # A comma within cells between which commas stand: quoted, as programs group digits.
        best, doubtful = grouped, []
    place = ways.index(best)
    for path, counts in reads.items():
        if counts[place] < max(counts) / 2 and max(counts) >= 3:
            other = ways[counts.index(max(counts))]
            raise DataError(
                f"{path} has numbers with {SAID_MARK[other.decimal]} before their decimals, and most files "
                f"have {SAID_MARK[best.decimal]}; the schema's decimal is one for all sites, so save the "
                "file again as the others are."
            )
    return Writing(best, tuple(doubtful))


def _find_marked(path: Path, names: Sequence[str], dialect: Dialect) -> dict[str, list[str]]:
    """The cells of a file's first rows that a mark stands in, by column, without their units."""
    rows = read_rows(path, dialect)
    header = [name.strip() for name in next(rows)[1]]
    at = {name: header.index(name) for name in names if name in header}
    cells: dict[str, list[str]] = {name: [] for name in names}
    for _, row in islice(rows, MARKED_ROWS):
        for name, place in at.items():
            cell = row[place].strip()
            if MARKED.search(cell):
                apart = without_unit(cell)
                cells[name].append(apart[0] if apart else cell)
    return cells


def _read(cells: Mapping[str, Sequence[str]], way: Dialect) -> int:
    return sum(number(cell, way) is not None for column in cells.values() for cell in column)


def _encoding(path: Path) -> str:
    """A file's encoding; "ascii" where every usual encoding reads the same. Raises DataError."""
    check_is_kept(path)
    try:
        with open(path, "rb", opener=plain) as file:
            first = file.read(BLOCK_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    check_is_text(path, first)
    for mark, (encoding, _) in BEGINNINGS.items():
        if first.startswith(mark):
            return (
                "ascii" if encoding == "utf-8" and _is_text(path, "utf-8") == "ascii" else encoding
            )
    if b"\0" in first:
        shown = wide(first)
        if shown and _is_text(path, shown):
            return shown
        raise DataError(f"{path} is no text: it holds zero bytes.")
    is_text = (_is_text(path, name) for name in ("utf-8", "cp1252"))
    return next((name for name in is_text if name), "latin-1")


def _is_text(path: Path, encoding: str) -> str:
    """The encoding, if all of the file can be read by it; "ascii" if it holds nothing else."""
    is_ascii = True
    try:
        with open(path, encoding=encoding, newline="", opener=plain) as file:
            while block := file.read(BLOCK_BYTES):
                is_ascii &= block.removeprefix("\ufeff").isascii()
    except UnicodeDecodeError:
        return ""
    return "ascii" if is_ascii and encoding == "utf-8" else encoding


def _delimiter(path: Path, encoding: str) -> str:
    """The one that gives the first rows one width, and the widest; "" where none stands in them."""
    with open(path, encoding=encoding, newline="", errors="replace", opener=plain) as file:
        declared = declared_delimiter(file.readline(LONGEST_LINE).removeprefix("\ufeff"))
    if declared:
        return declared
    fits = {mark: _fit(path, encoding, mark) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: fits[mark])
    if fits[best][1] > 1:
        return best
    return " " if _fit(path, encoding, " ")[0] > 1 else ""


def _fit(path: Path, encoding: str, delimiter: str) -> tuple[int, int]:
    """Cells of the first row if the next have as many, else 0; and cells of the first row."""
    widths = list[int]()
    encoding = encoding.replace("utf-8", "utf-8-sig")
    # What is wrong is told by whoever reads the rows.
    with (
        open(path, encoding=encoding, newline="", opener=plain) as file,
        suppress(csv.Error, UnicodeError),
    ):
        rows = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
        widths += (len(row) for row in islice(rows, LOOKED_AT) if row)
    first = widths[0] if widths else 0
    return first * (first > 1 and set(widths) == {first}), first
