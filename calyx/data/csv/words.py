"""Cells of categories and classes that are no word of the schema: refused by their line, or told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.data.csv.folder import list_names
from calyx.data.csv.rows import Dialect
from calyx.data.csv.schema import ColumnConfig, TargetConfig
from calyx.data.tables import UNKNOWN, Chunk, Field, codes, numbers
from calyx.data.words import describe_strange, none_of, show_word
from calyx.errors import DataError, printable

SHOWN = 3  # words of a column in one sentence


def labels(path: Path, chunk: Chunk, target: TargetConfig, dialect: Dialect) -> NDArray[Any]:
    """The target [N]: int64 classes, or float64. Raises DataError for a cell that is neither."""
    words, classes, name = chunk.cells[target.name], target.classes, target.name
    of = Field(name, classes, target.same, target.unit)
    y = codes(words, of, dialect.decimal) if classes else numbers(path, chunk, of, dialect)
    wrong = np.flatnonzero(np.isnan(y) | ((y == UNKNOWN) & bool(classes)))
    if len(wrong):
        cell, line = words[wrong[0]], chunk.lines[wrong[0]]
        what = (
            "is missing; complete the row, or say missing: drop of the target in the schema, and rows "
            "without a label are left out"
        )
        if cell is not None:
            known = list_names(list(map(show_word, classes)))
            what = f"is {describe_strange(cell, classes)}, none of its classes ({known})"
        raise DataError(f"{path}, line {line}: the target {printable(name, 40)} {what}.")
    return y.astype(np.int64) if classes else y


def find_labelled(chunk: Chunk, target: TargetConfig) -> NDArray[np.bool_]:
    """Which rows [N] are read: those with a label, where the schema leaves the others out; else all."""
    is_read = [cell is not None or target.missing == "refuse" for cell in chunk.cells[target.name]]
    return np.array(is_read, dtype=np.bool_)


@dataclass(frozen=True)
class Strange:
    """Where a piece of a file has words that the schema does not declare, by column."""

    words: Mapping[str, Mapping[int, str]]  # of each row that has one, in words for a person

    def of(self, rows: Sequence[int]) -> tuple[tuple[str, str], ...]:
        """Columns and the first words of them that stand in these rows."""
        pairs = list[tuple[str, str]]()
        for name, words in self.words.items():
            distinct = dict.fromkeys(words[row] for row in rows if row in words)
            pairs += [(name, word) for word in list(distinct)[:SHOWN]]
        return tuple(pairs)


def strange_words(
    path: Path, chunk: Chunk, columns: Mapping[str, ColumnConfig], x: NDArray[np.float64]
) -> Strange:
    """What is strange in rows `x` [N, C]. Raises DataError where a column refuses such words."""
    strange = dict[str, Mapping[int, str]]()
    for i, (name, column) in enumerate(columns.items()):
        rows = np.flatnonzero(x[:, i] == UNKNOWN)
        if not column.categories or not len(rows):
            continue
        cells, words = chunk.cells[name], column.categories
        if column.unknown == "refuse":
            raise DataError(
                f"{path}, line {chunk.lines[rows[0]]}, column {printable(name, 40)}: "
                f"{none_of(str(cells[rows[0]]), words, 'categories')}; the schema refuses such words "
                "(unknown: refuse); mend the cell, or name the word in the schema."
            )
        told_of = {
            cell: describe_strange(str(cell), words) for cell in {cells[row] for row in rows}
        }
        strange[name] = {int(row): told_of[cells[row]] for row in rows}
    return Strange(strange)
