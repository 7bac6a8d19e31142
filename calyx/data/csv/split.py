"""What decides the split of a csv task's rows: a column of the file, or the folders of a benchmark.

A column is named by one of the schema's keys: `group` (rows of one word stay together), `split`
(the part of each row) or `time` (the earliest rows train). The folders are train/, validation/
and test/.

Shapes: N rows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.data.csv.folder import tables_in
from calyx.data.csv.numbers import numbers
from calyx.data.csv.rows import Dialect
from calyx.data.csv.schema import SchemaConfig, unit_of
from calyx.data.schema import Table, join
from calyx.data.tables import Chunk
from calyx.data.words import one_form
from calyx.errors import DataError, printable

PARTS = {"train": 0, "validation": 1, "val": 1, "valid": 1, "dev": 1, "test": 2}
_DAY, _CLOCK, _ZONE = (
    r"\d{4}-\d{2}-\d{2}",
    r"[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?",
    r"(Z|[+-]\d{2}:\d{2})",
)
_FORMS = {
    "a date such as 2024-01-31": re.compile(_DAY, re.ASCII),
    "a time such as 2024-01-31 10:00": re.compile(_DAY + _CLOCK, re.ASCII),
    "a time with its zone such as 2024-01-31T10:00Z": re.compile(_DAY + _CLOCK + _ZONE, re.ASCII),
}
_NUMBER = "a number"


class SplitReader:
    """Reads the column of one file that decides the split, piece by piece."""

    def __init__(self, path: Path, schema: SchemaConfig, dialect: Dialect) -> None:
        self._path, self._dialect = path, dialect
        self._key = next(iter(schema.deciding), "")
        self.column = schema.deciding.get(self._key)  # None: the split is drawn
        self._unit = unit_of(schema, self.column)
        self._groups = dict[str, int]()
        self._form: tuple[str, int] | None = None  # of the first time, and its line

    def read(self, chunk: Chunk, table: Table) -> Table:
        """The chunk's rows, with what the column says of each. Raises DataError."""
        if self.column is None:
            return table
        words = self._complete(chunk)
        match self._key:
            case "group":
                groups = [self._groups.setdefault(word, len(self._groups)) for word in words]
                return replace(table, blocks=np.array(groups, dtype=np.int64))
            case "split":
                return replace(table, parts=self._parts(words, chunk.lines))
            case _:
                return replace(table, times=self._times(words, chunk.lines))

    def _complete(self, chunk: Chunk) -> list[str]:
        words = chunk.cells[str(self.column)]
        for word, line in zip(words, chunk.lines, strict=True):
            if not word:
                raise self._wrong(
                    int(line),
                    "is empty, or holds a word that the schema lists under `missing`; complete the "
                    "row, or take it out",
                )
        return [one_form(str(word)) for word in words]

    def _parts(self, words: list[str], lines: NDArray[np.int64]) -> NDArray[np.int8]:
        for word, line in zip(words, lines, strict=True):
            if word.lower() not in PARTS:
                said = printable(word, 40)
                raise self._wrong(int(line), f"says {said!r}; a part is one of {', '.join(PARTS)}")
        return np.array([PARTS[word.lower()] for word in words], dtype=np.int8)

    def _times(self, words: list[str], lines: NDArray[np.int64]) -> NDArray[np.float64]:
        if not words:
            return np.empty(0)
        if self._form is None:
            self._form = _form_of(words[0]), int(lines[0])
        form, first = self._form
        if form == _NUMBER:
            times = numbers(words, self._dialect, self._unit)
        else:
            times = _seconds(words, _FORMS[form])
        wrong = np.flatnonzero(~np.isfinite(times))
        if len(wrong):
            said, line = printable(words[wrong[0]], 40), int(lines[wrong[0]])
            if form != _NUMBER and _FORMS[form].fullmatch(words[wrong[0]]):
                raise self._wrong(line, f"says {said!r}, and there is no such day or hour")
            if line == first:
                raise self._wrong(
                    line, f"says {said!r}; a time is {', '.join(_FORMS)}, or {_NUMBER}"
                )
            raise self._wrong(line, f"says {said!r}, where line {first} has {form}; write one way")
        return times

    def _wrong(self, line: int, what: str) -> DataError:
        name = printable(str(self.column), 40)
        return DataError(f"{self._path}, line {line}: the {self._key} column {name} {what}.")


def join_pieces(pieces: Sequence[Table]) -> Table:
    """Join the pieces of one client's rows; its groups keep their numbers, whatever stands between them."""
    table = join(pieces)
    if table.blocks is None:
        return table
    _, first, number = np.unique(table.blocks, return_index=True, return_inverse=True)
    return replace(table, blocks=np.argsort(np.argsort(first))[number])


def _form_of(word: str) -> str:
    return next((form for form, pattern in _FORMS.items() if pattern.fullmatch(word)), _NUMBER)


def _seconds(words: list[str], pattern: re.Pattern[str]) -> NDArray[np.float64]:
    """Since 1970, a time without a zone counted as one of Greenwich; NaN for what is no time."""
    known = {word: _second(word, pattern) for word in set(words)}
    return np.array([known[word] for word in words], dtype=np.float64)


def _second(word: str, pattern: re.Pattern[str]) -> float:
    if not pattern.fullmatch(word):
        return float("nan")
    try:
        time = datetime.fromisoformat(word)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except ValueError:  # the 31st of February
        return float("nan")


def part_folders(folder: Path) -> Mapping[int, Path]:
    """The folders of a benchmark's own parts, by number; none where its files lie in `folder` itself.

    Raises DataError where both are there, two folders are of one part, or none is to be trained on.
    """
    beside = sorted(
        path for path in folder.glob("*") if path.is_dir() and path.name.lower() in PARTS
    )
    folders = [path for path in beside if tables_in(path)]
    if not folders:
        return {}
    names = [f"{path.name}/" for path in folders]
    if tables_in(folder):
        raise DataError(
            f"{folder} holds CSV files beside those in {' and '.join(names)}; keep the ones that are "
            "meant, or name the part of each row with `split` in the schema."
        )
    by_part = {PARTS[path.name.lower()]: path for path in folders}
    if len(by_part) < len(folders):
        raise DataError(f"{folder} holds {' and '.join(names)}, of which two are one part.")
    if 0 not in by_part:
        raise DataError(f"{folder} holds {' and '.join(names)} and no train/, so nothing trains.")
    return by_part


def parts_by_name(clients: Sequence[str]) -> list[str]:
    """A sentence where clients are called as the parts of a split are: train.csv beside test.csv."""
    names = {name.lower() for name in clients}
    if len(names) < 2 or not names <= PARTS.keys():
        return []
    return [
        f"{' and '.join(clients)} are clients here, and all of them train. If they are parts of a "
        "split, put each client's rows into folders of these names, or name their column by `split`."
    ]


def check_folders(folders: Mapping[int, Path], schema: SchemaConfig) -> None:
    """Raise DataError where the schema names a column that would decide the split again."""
    for key in schema.deciding if folders else ():
        raise DataError(
            f"{folders[0].parent} brings its own parts in folders, and the schema says `{key}`, which "
            "would deal the rows again; take one of them out."
        )
