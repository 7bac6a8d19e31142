"""What a cell of a request stands for by the schema, and which cells its columns do not allow.

The schema decides: a value that may be missing, a bound, a category that nobody declared (`unknown`:
other, missing or refuse). Rows and columns are named, and what is allowed there.

Shapes: N rows, C columns of the schema.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema
from calyx.data.words import exact, one_form
from calyx.errors import printable
from calyx.serving.refusals import MOST_PROBLEMS, Problem, Refused
from calyx.words.digits import plain
from calyx.words.sentences import join_names

Values = NDArray[np.float64]
_SHOWN = 8  # categories in one sentence
_LONGEST = 40  # characters of a name in one
INVALID = "Rows that the schema does not allow"


class Words:
    """The categories of one column that has words for them, by what a caller may write.

    That is a category's word; the number that such a word writes; or, where no word writes a number,
    the category's code.
    """

    def __init__(self, column: Column) -> None:
        pairs = list(zip(column.words, column.categories, strict=True))
        self._texts = {one_form(word): category for word, category in pairs}
        written = [(exact(one_form(word)), category) for word, category in pairs]
        numbers = {number: category for number, category in written if number is not None}
        codes = {Decimal(plain(category)): category for category in column.categories}
        missing = {Decimal(plain(code)): math.nan for code in column.missing_codes}
        self._numbers = missing | (numbers or codes)
        self._strange = _strange_code(column)

    def code(self, cell: str | float | None) -> float:
        """The code of what stands in a cell: NaN for missing, one that no category has for a strange word."""
        if cell is None:
            return np.nan
        text = cell if isinstance(cell, str) else plain(cell)
        known = self._texts.get(text)
        if known is None:
            text = one_form(text)
            known = self._texts.get(text)
        if known is None:
            number = exact(text)
            known = self._strange if number is None else self._numbers.get(number, self._strange)
        return known


def _strange_code(column: Column) -> float:
    """A number that is neither a category of the column nor a code for a missing value."""
    return min((*column.categories, *column.missing_codes, 0.0)) - 1.0


@dataclass(frozen=True)
class Found:
    """Cells of one column that are not allowed, and why."""

    place: int  # of the column
    rows: NDArray[np.int64]
    what: str


class Checks:
    """What the columns of a schema allow, made once and asked for every request."""

    def __init__(self, schema: Schema) -> None:
        self._columns = schema.columns
        self._low, self._high = schema.low, schema.high
        codes = [(i, code) for i, c in enumerate(schema.columns) for code in c.missing_codes]
        self._coded = np.array([i for i, _ in codes], dtype=np.int64)
        self._codes = np.array([code for _, code in codes])
        self._complete = np.array([not c.may_be_missing for c in schema.columns])
        self._refusing = [(i, c) for i, c in enumerate(schema.columns) if c.unknown == "refuse"]
        self._texts = [i for i, c in enumerate(schema.columns) if c.kind == "text"]

    def check(self, rows: Values) -> None:
        """Raise Refused, 422, where a cell of the rows [N, C] is not allowed: NaN is missing."""
        found = list(self._find(rows))
        if found:
            raise refuse_cells(self._columns, found)

    def _find(self, rows: Values) -> Iterator[Found]:
        is_missing = np.isnan(rows)
        if len(self._coded):
            at, which = np.nonzero(rows[:, self._coded] == self._codes)
            is_missing[at, self._coded[which]] = True
        lost = is_missing & self._complete
        off = ((rows < self._low) | (rows > self._high)) & ~is_missing
        if (lost | off).any():
            for i in np.flatnonzero(lost.any(axis=0)).tolist():
                yield Found(i, np.flatnonzero(lost[:, i]), "it is missing, and may not be")
            for i in np.flatnonzero(off.any(axis=0)).tolist():
                yield Found(i, np.flatnonzero(off[:, i]), _range(self._columns[i]))
        for i in self._texts:
            broken = ~is_missing[:, i] & (rows[:, i] != np.floor(rows[:, i]))
            if broken.any():
                yield Found(i, np.flatnonzero(broken), "it must be a whole number, an index")
        for i, column in self._refusing:
            strange = ~is_missing[:, i] & ~np.isin(rows[:, i], column.categories)
            if strange.any():
                yield Found(i, np.flatnonzero(strange), say_categories(column))


def refuse_cells(columns: tuple[Column, ...], found: list[Found]) -> Refused:
    """The refusal that names the first few cells, row by row."""
    cells = sorted((int(row), one.place, one.what) for one in found for row in one.rows)
    problems = [
        Problem(row, columns[place].name, what) for row, place, what in cells[:MOST_PROBLEMS]
    ]
    return refuse_problems(problems, len(cells) - len(problems))


def refuse_problems(problems: list[Problem], more: int) -> Refused:
    """The refusal, 422, of rows of which the first few `problems` are told."""
    first = problems[0]
    where = "" if first.row is None else f"row {first.row}"
    if first.column is not None:
        name = printable(first.column, _LONGEST)
        where += f"{', ' if where else ''}column {name}"
    detail = f"{where}: {first.what}." if where else f"{first.what}."
    return Refused(422, INVALID, detail, problems=problems, more_problems=more)


def _range(column: Column) -> str:
    low = "" if column.low is None else plain(column.low)
    high = "" if column.high is None else plain(column.high)
    unit = f" {column.unit}" if column.unit else ""
    if low and high:
        return f"it must be from {low} to {high}{unit}"
    return f"it must be {'at least ' + low if low else 'at most ' + high}{unit}"


def say_categories(column: Column) -> str:
    """What a cell of a column may be, by its categories."""
    words = column.words or tuple(map(plain, column.categories))
    shown = join_names([printable(word, _LONGEST) for word in words], _SHOWN)
    return f"it must be one of {shown}"


def say_kind(column: Column) -> str:
    """What a cell of a column may be, for somebody who has written another kind of value."""
    missing = ", or null where it is missing" if column.may_be_missing else ""
    if column.categories:
        return say_categories(column) + missing
    if column.low is not None or column.high is not None:
        return f"{_range(column)}, as a number{missing}"
    return f"it must be a finite number{missing}"
