"""Rows from a CSV file, by a schema: numbers, categories as codes, NaN for what is missing.

What is wrong is said with file, line and column, and never with a whole row.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.data.csv.numbers import no_number
from calyx.data.csv.numbers import numbers as read_numbers
from calyx.data.csv.rows import Dialect, read_rows
from calyx.data.words import Places, Word, fold, one_form
from calyx.errors import DataError, printable

Values = NDArray[np.float64]
UNKNOWN = -1.0  # the code of a category that the schema does not name
SHOWN = 8  # names in one sentence
CHUNK_ROWS = 20_000


@dataclass(frozen=True)
class Field:
    """A column of a file: its name, and what its cells may be."""

    name: str
    categories: tuple[Word, ...] = ()  # texts or numbers; none of a column of numbers
    same: Mapping[str, Word] = field(default_factory=dict)  # other words, and the category of each
    unit: str = ""  # what may stand before or after a number


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, by column."""

    cells: Mapping[str, list[str | None]]  # as written, without blanks around; None is missing
    lines: NDArray[np.int64]  # [N] where each row begins, as an editor counts

    def take(self, rows: NDArray[np.int64]) -> "Chunk":
        """The rows with these indices, in their order."""
        cells = {name: [words[row] for row in rows] for name, words in self.cells.items()}
        return Chunk(cells, self.lines[rows])


@dataclass(frozen=True)
class Rows:
    """All rows of a file, as a model's inputs."""

    x: Values  # [N, C]
    lines: NDArray[np.int64]  # [N] where each row begins, as an editor counts


def read_header(path: Path, dialect: Dialect) -> list[str]:
    """The names in a file's first line, as they are written. Raises DataError."""
    _, names = next(read_rows(path, dialect))
    return [one_form(name) for name in names]


def read_chunks(path: Path, names: Sequence[str], dialect: Dialect) -> Iterator[Chunk]:
    """These columns in pieces of CHUNK_ROWS rows, one at least: a file's text is never held whole.

    Raises DataError, also in the middle.
    """
    rows = read_rows(path, dialect)
    header = [one_form(name) for name in next(rows)[1]]
    _check_names(path, names, header)
    at = {name: i for i, name in enumerate(header)}
    places = {name: at[one_form(name)] for name in names}
    missing = frozenset(word.strip() for word in dialect.missing)
    is_first = True
    while (piece := list(islice(rows, CHUNK_ROWS))) or is_first:
        yield Chunk(
            {name: _cells(piece, place, missing) for name, place in places.items()},
            np.array([line for line, _ in piece], dtype=np.int64),
        )
        is_first = False


def _cells(
    rows: Sequence[tuple[int, list[str]]], place: int, missing: frozenset[str]
) -> list[str | None]:
    cells = (row[place].strip() for _, row in rows)
    return [None if cell in missing else cell for cell in cells]


def _check_names(path: Path, names: Sequence[str], header: Sequence[str]) -> None:
    counts = Counter(header)
    absent = [name for name in names if not counts[one_form(name)]]
    if absent:
        has = printable(", ".join(header[:SHOWN]) + (", …" if len(header) > SHOWN else ""))
        marks = [mark for mark in ",;\t|" if len(header) == 1 and mark in header[0]]
        advice = f"; is {marks[0]!r} the file's delimiter?" if marks else "."
        likely = [name for name in header if fold(name) == fold(absent[0])]
        if likely:
            advice += (
                f" Perhaps {printable(likely[0], 40)!r} is meant: give it one name everywhere."
            )
        said = printable(absent[0], 40)
        raise DataError(f"{path} has no column {said}; its first line names {has}{advice}")
    twice = [name for name in names if counts[one_form(name)] > 1]
    if twice:
        raise DataError(
            f"{path} names the column {printable(twice[0], 40)!r} twice in its first line; rename or "
            "remove one."
        )


def numbers(path: Path, chunk: Chunk, of: Field, dialect: Dialect) -> Values:
    """A column [N] as numbers, NaN for missing. Raises DataError naming the first other cell."""
    name, cells = of.name, chunk.cells[of.name]
    parsed = read_numbers(cells, dialect, of.unit)
    wrong = np.flatnonzero(np.isinf(parsed))
    if len(wrong):
        said = no_number(str(cells[wrong[0]]), dialect, of.unit)
        raise DataError(f"{_place(path, chunk, name, wrong[0])}: {said}.")
    coded = read_numbers([w for w in dialect.missing if w.strip()], dialect, of.unit)
    missed = np.flatnonzero(np.isin(parsed, coded[np.isfinite(coded)]))
    if len(missed):
        raise DataError(
            f"{_place(path, chunk, name, missed[0])}: {printable(str(cells[missed[0]]), 40)!r} is a number "
            "that the schema's missing writes otherwise; name it there as it is written here too, or as "
            "a number under the column's own missing."
        )
    return parsed


def _place(path: Path, chunk: Chunk, name: str, row: np.int64) -> str:
    return f"{path}, line {chunk.lines[row]}, column {printable(name, 40)}"


def codes(words: Sequence[str | None], of: Field, decimal: str = ".") -> Values:
    """A column [N] as places in its categories; NaN for missing, UNKNOWN for another word.

    Texts are compared as texts; a number among the categories is any way of writing it.
    """
    places = Places(of.categories, decimal, of.same)
    by_word = {word: places.of(word) for word in set(words) if word is not None}
    known = {word: UNKNOWN if place is None else float(place) for word, place in by_word.items()}
    return np.array([np.nan if word is None else known[word] for word in words], dtype=np.float64)


def inputs(path: Path, chunk: Chunk, fields: Sequence[Field], dialect: Dialect) -> Values:
    """The columns of `fields` as [N, C]. Raises DataError."""
    parts = [
        codes(chunk.cells[f.name], f, dialect.decimal)
        if f.categories
        else numbers(path, chunk, f, dialect)
        for f in fields
    ]
    return np.stack(parts, axis=1)


def all_rows(path: Path, fields: Sequence[Field], dialect: Dialect) -> Rows:
    """The columns of `fields` of a whole file. Raises DataError."""
    chunks = list[tuple[Values, NDArray[np.int64]]]()
    for chunk in read_chunks(path, [f.name for f in fields], dialect):
        chunks.append((inputs(path, chunk, fields, dialect), chunk.lines))
    x, lines = zip(*chunks, strict=True)
    return Rows(np.concatenate(x), np.concatenate(lines))
