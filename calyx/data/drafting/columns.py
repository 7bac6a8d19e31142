"""What is seen of a column in all rows of all files: counts, never a list of its cells."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.data.csv.numbers import number, numbers
from calyx.data.csv.rows import Dialect
from calyx.data.drafting.ranges import CODES
from calyx.data.drafting.units import is_usual, without_unit
from calyx.data.words import one_form

FEWEST = 5  # rows that have a word which a draft may show
MOST_COUNTED = 1000  # distinct words of a column; of more, only that they are more
LONGEST = 200  # signs of a word that is counted; what is longer is a text
PADDED = re.compile(r"[+-]?0[0-9]+")  # a code: numbers do not begin with 0
USUAL = re.compile(r"-?(0|[1-9][0-9]{0,299})(\.0)?")  # a whole number, as programs write it
_CLOCK = r"([ T]+\d{1,2}:\d{2}.*)?"
_MONTH = r"(jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*\.?"
DATE = re.compile(
    rf"\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}\.?{_CLOCK}|\d{{1,2}}:\d{{2}}(:\d{{2}}.*)?"
    rf"|\d{{1,4}}[-/. ]+{_MONTH}([-/. ,]+\d{{1,4}})?{_CLOCK}|{_MONTH}[-/. ]+\d{{1,4}}(, *\d{{4}})?{_CLOCK}",
    re.IGNORECASE,
)
ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?")


@dataclass(frozen=True)
class Place:
    """In which file and line a cell stands."""

    path: Path
    line: int

    def __str__(self) -> str:
        """The place as the beginning of a sentence."""
        return f"{self.path}, line {self.line}"


@dataclass
class Column:
    """A column so far. `files` are counted from 0, in the order in which they are read."""

    rows: int = 0
    missing: int = 0
    words: Counter[str] = field(default_factory=Counter)  # MOST_COUNTED at most, and one more
    first: dict[str, Place] = field(default_factory=dict)  # where each of them stands first
    files: dict[str, set[int]] = field(default_factory=dict)  # those that each of them stands in
    only: dict[int, str | None] = field(default_factory=dict)  # a file's one word; None of several
    has_long: bool = False  # words of more than LONGEST signs, which are not kept
    hole: Place | None = None  # the first cell without a value
    text: Place | None = None  # the first cell that is no number
    texts: int = 0  # cells that are no numbers, or codes such as 007
    dates: int = 0
    iso: int = 0  # dates such as 2024-01-31
    units: Counter[str] = field(default_factory=Counter)
    has_fractions: bool = False
    codes: Counter[float] = field(default_factory=Counter)  # numbers that may mean "missing"
    low: float = math.inf  # of the other numbers
    high: float = -math.inf

    @property
    def present(self) -> int:
        """How many cells have a value."""
        return self.rows - self.missing

    @property
    def is_open(self) -> bool:
        """Whether there are other words than are counted."""
        return self.has_long or len(self.words) > MOST_COUNTED

    @property
    def is_number(self) -> bool:
        """Whether all values are numbers of one unit, or of none, and no codes."""
        return self.texts == 0 < self.present and len(self.units) <= 1 and not self.has_rare_unit

    @property
    def has_rare_unit(self) -> bool:
        """Whether few rows have a word beside their number that no usual unit is: perhaps a name."""
        return any(count < FEWEST and not is_usual(unit) for unit, count in self.units.items())

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers as programs write them."""
        if not self.is_number or self.has_fractions or self.units:
            return False
        return self.is_open or all(map(USUAL.fullmatch, self.words))

    @property
    def is_date(self) -> bool:
        """Whether all values are dates or times."""
        return 0 < self.dates == self.present

    @property
    def unit(self) -> str:
        """The sign or word beside its numbers; "" of none."""
        return next(iter(self.units), "") if self.is_number else ""

    def bounds(self, left_out: Sequence[float]) -> tuple[float, float]:
        """The least and the largest number but for those of `left_out`."""
        kept = [code for code in self.codes if code not in left_out]
        return min([self.low, *kept]), max([self.high, *kept])


@dataclass(frozen=True)
class Piece:
    """Some cells of a column in one file."""

    cells: Sequence[str | None]
    lines: NDArray[np.int64]  # [N] where each row begins
    path: Path
    file: int


def look(column: Column, piece: Piece, dialect: Dialect) -> None:
    """Add a piece of a file to what is seen of a column."""
    counted = Counter(cell for cell in piece.cells if cell is not None)
    missing = len(piece.cells) - counted.total()
    column.rows += len(piece.cells)
    column.missing += missing
    if column.hole is None and missing:
        column.hole = _place(piece, None)
    if counted:
        _count(column, piece, counted)
        _measure(column, piece, counted, dialect)


def _place(piece: Piece, cell: str | None) -> Place:
    return Place(piece.path, int(piece.lines[piece.cells.index(cell)]))


def _count(column: Column, piece: Piece, counted: Counter[str]) -> None:
    words = {cell: one_form(cell) for cell in counted}
    distinct = set(words.values())
    known = column.only.get(piece.file, min(distinct))
    column.only[piece.file] = known if distinct == {known} else None
    column.has_long |= any(len(word) > LONGEST for word in distinct)
    for cell, word in words.items():
        if column.is_open:
            return
        if word not in column.words:
            column.first[word] = _place(piece, cell)
        column.words[word] += counted[cell]
        column.files.setdefault(word, set()).add(piece.file)


def _measure(column: Column, piece: Piece, counted: Counter[str], dialect: Dialect) -> None:
    cells = list(counted)
    values = numbers(cells, dialect)
    for i in np.flatnonzero(np.isinf(values)):
        apart = without_unit(cells[i])
        value = None if apart is None else number(apart[0], dialect)
        if apart is None or value is None:
            _look_at_text(column, piece, cells[i], counted[cells[i]])
        else:
            values[i] = value
            column.units[apart[1]] += counted[cells[i]]
    for cell in cells:
        if PADDED.fullmatch(cell):
            _look_at_text(column, piece, cell, counted[cell])
    finite = values[np.isfinite(values)]
    column.has_fractions |= bool((finite != np.floor(finite)).any())
    for cell, value in zip(cells, values, strict=True):
        if value in CODES:
            column.codes[float(value)] += counted[cell]
    others = finite[~np.isin(finite, CODES)]
    if len(others):
        column.low = min(column.low, float(others.min()))
        column.high = max(column.high, float(others.max()))


def _look_at_text(column: Column, piece: Piece, cell: str, count: int) -> None:
    column.texts += count
    column.text = column.text or _place(piece, cell)
    column.dates += count * (DATE.fullmatch(cell) is not None)
    column.iso += count * (ISO.fullmatch(cell) is not None)


def numbers_of(cells: Sequence[str | None], dialect: Dialect) -> NDArray[np.float64]:
    """Cells [N] as numbers without their units; NaN of what is none."""
    values = numbers(cells, dialect)
    for i, cell in enumerate(cells):
        if cell is not None and math.isinf(values[i]):
            apart = without_unit(cell)
            value = None if apart is None else number(apart[0], dialect)
            values[i] = math.nan if value is None else value
    return values
