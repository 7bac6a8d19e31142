"""How a CSV file of which nothing is known seems to be written: its encoding, delimiter and decimal mark.

A guess, for a draft that its owner corrects; no rows are trained on that are read by it.
"""

import csv
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from calyx.errors import DataError
from calyx.tasks.csv_numbers import number
from calyx.tasks.csv_rows import BEGINNINGS, Dialect
from calyx.tasks.tables import read_chunks

DELIMITERS = ",;\t|"
LOOKED_AT = 50  # rows
BLOCK_BYTES = 1_000_000


def dialect_of_file(path: Path, missing: tuple[str, ...]) -> Dialect:
    """The encoding and the delimiter that fit best. Raises DataError for what is no text."""
    encoding = _encoding(path)
    return Dialect(delimiter=_delimiter(path, encoding), encoding=encoding, missing=missing)


def with_decimal(path: Path, names: list[str], dialect: Dialect) -> Dialect:
    """With the mark by which more cells of the file's first rows are numbers. Raises DataError."""
    chunk = next(read_chunks(path, names, dialect))
    marked = [c for cells in chunk.cells.values() for c in cells if c and ("," in c or "." in c)]
    found = {
        mark: sum(number(cell, replace(dialect, decimal=mark)) is not None for cell in marked)
        for mark in (".", ",")
    }
    return replace(dialect, decimal=max(found, key=lambda mark: found[mark]))


def _encoding(path: Path) -> str:
    try:
        with path.open("rb") as file:
            first = file.read(BLOCK_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    for mark, (encoding, _) in BEGINNINGS.items():
        if first.startswith(mark):
            return encoding
    if b"\0" in first:
        raise DataError(f"{path} is no text: it holds zero bytes.")
    return next((name for name in ("utf-8", "cp1252") if _is_text(path, name)), "latin-1")


def _is_text(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as file:
            while file.read(BLOCK_BYTES):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(path: Path, encoding: str) -> str:
    """The one that gives the first rows one width, and the widest."""
    return max(DELIMITERS, key=lambda mark: _fit(path, encoding, mark))


def _fit(path: Path, encoding: str, delimiter: str) -> tuple[int, int]:
    """Cells of the first row if the next have as many, else 0; and cells of the first row."""
    widths = list[int]()
    encoding = encoding.replace("utf-8", "utf-8-sig")
    # What is wrong is told by whoever reads the rows.
    with path.open(encoding=encoding, newline="") as file, suppress(csv.Error, UnicodeError):
        rows = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
        widths += (len(row) for row in islice(rows, LOOKED_AT) if row)
    first = widths[0] if widths else 0
    return first * (first > 1 and set(widths) == {first}), first
