"""Columns, a target, and rows: as a task describes and loads them, and as a model takes them.

Shapes: N rows, C columns of the schema, F model inputs, K classes.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calyx.data.row_hashes import Hashes, hash_rows
from calyx.words.digits import plain

Values = NDArray[np.float64]
Kind = Literal["numeric", "categorical", "ordinal", "image", "text"]
Unknown = Literal["other", "missing", "refuse"]
_BLOCK_CELLS = 2**17  # a megabyte


@dataclass(frozen=True)
class Column:
    """One input column of a task's schema.

    An image's pixels are columns of kind `image`, and models take them as they are; so they take
    `text`, which is an index that a model looks up. An `ordinal` column is one input, the rank of
    its category scaled to 0 … 1.

    `missing_codes` are values that stand for "missing" (NaN always does); `may_be_missing` gives
    the column an indicator in the model's input on every client, so that all models have one
    shape. `low` and `high` bound plausible values, ends included; None is unbounded. Federated
    statistics need both. `unknown` is what a category is that nobody declared: zeros in all places
    of the one-hot code, a missing value (always so of an ordinal column), or a reason for a client
    to refuse its rows. `words` say the categories to a person, where they are codes for words.

    Raises ValueError for a column that contradicts itself.
    """

    name: str
    kind: Kind
    categories: tuple[float, ...] = ()  # in the order of the one-hot code, or of the ranks
    missing_codes: tuple[float, ...] = ()
    may_be_missing: bool = False
    low: float | None = None
    high: float | None = None
    unit: str = ""
    unknown: Unknown = "other"
    words: tuple[str, ...] = ()  # one a category, or none

    def __post_init__(self) -> None:
        """Check that the fields fit one another."""
        has_categories = self.kind in ("categorical", "ordinal")
        if has_categories != bool(self.categories):
            word = "needs" if has_categories else "has no"
            raise ValueError(f"the column {self.name} is {self.kind} and {word} categories")
        if any(math.isnan(c) for c in self.categories + self.missing_codes):
            raise ValueError(f"NaN is always missing, and no code of the column {self.name}")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"the column {self.name} has a category twice")
        if overlap := set(self.categories) & set(self.missing_codes):
            raise ValueError(
                f"{plain(min(overlap))} is a category and a missing code of the column {self.name}"
            )
        if self.words and not len(set(self.words)) == len(self.words) == len(self.categories):
            raise ValueError(f"the column {self.name} needs a word of its own for each category")
        if has_categories and (self.low, self.high, self.unit) != (None, None, ""):
            raise ValueError(f"low, high and unit are for numbers: {self.name} is {self.kind}")
        if not has_categories and self.unknown != "other":
            raise ValueError(f"unknown is for categories: {self.name} is {self.kind}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low is not below high in the column {self.name}")

    def word(self, category: float) -> str:
        """How a person calls one of the categories."""
        return self.words[self.categories.index(category)] if self.words else plain(category)


@dataclass(frozen=True)
class Target:
    """What a regression predicts. Models see (y - center) / scale, which should lie around ±1.

    Center and scale are the schema's, and so the same on every client: a typical value and a
    typical distance from it, in the target's own unit. `low` and `high` bound plausible values, ends
    included; None is unbounded.

    Raises ValueError where the center is not within the bounds.
    """

    name: str
    center: float
    scale: float  # > 0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Check that the fields fit one another."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= self.center <= high or low == high:
            raise ValueError(f"the center of {self.name} does not lie between its low and its high")


@dataclass(frozen=True)
class Alike:
    """Columns that are read and coded alike, so that one call over a block of cells serves them all."""

    first: Column  # the others differ from it in name, words, unit and bounds
    places: NDArray[np.int64]  # [k] among the schema's columns, in their order


@dataclass(frozen=True)
class Schema:
    """Columns in the order of the table's, and what is predicted.

    That is either one of the classes 0 … K-1, by name, or a real number: then `target` says
    which, and there are no classes.

    Raises ValueError where two columns, or a column and the target, have one name.
    """

    columns: tuple[Column, ...]
    classes: tuple[str, ...]
    target: Target | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a schema that is none, in the words of who writes a task."""
        for field, kind in (("columns", Column), ("classes", str)):
            values: Any = getattr(self, field)
            of_kind = isinstance(values, tuple) and all(isinstance(one, kind) for one in values)
            if not of_kind:
                raise ValueError(
                    f"a schema's {field} are a tuple of {kind.__name__}, and not {values!r:.80}"
                )
        if self.target is None and len(self.classes) < 2:
            raise ValueError("a schema has two classes or more, or a target")
        if self.target is not None and (self.classes or not isinstance(self.target, Target)):
            raise ValueError("a schema's target is a Target, and goes without classes")
        names = [c.name for c in self.columns] + ([self.target.name] if self.target else [])
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the schema names {twice} twice among its columns and its target")

    @cached_property
    def _hash(self) -> int:
        return hash((self.columns, self.classes, self.target))

    def __hash__(self) -> int:
        """The fields' hash, made once: what is cached of a schema asks for it at every look."""
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone, for another process, where names have other hashes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def alike(self) -> tuple[Alike, ...]:
        """All columns, those together that are read and coded alike. See docs/decisions/0079."""
        places = defaultdict(list)
        for i, c in enumerate(self.columns):
            key = c.kind, c.categories, c.missing_codes, c.may_be_missing, c.unknown
            places[key].append(i)
        return tuple(Alike(self.columns[own[0]], np.array(own)) for own in places.values())

    def blocks(self, rows: int) -> Iterator[Alike]:
        """`alike` in pieces of so few columns that a block of so many rows stays in a processor's cache."""
        columns = max(1, _BLOCK_CELLS // max(1, rows))
        for group in self.alike:
            for begin in range(0, len(group.places), columns):
                yield Alike(group.first, group.places[begin : begin + columns])

    @cached_property
    def low(self) -> Values:
        """The least plausible value [C] of each column; -infinity where nothing bounds it."""
        return np.array([-math.inf if c.low is None else c.low for c in self.columns])

    @cached_property
    def high(self) -> Values:
        """The greatest plausible value [C] of each column; infinity where nothing bounds it."""
        return np.array([math.inf if c.high is None else c.high for c in self.columns])

    @property
    def num_outputs(self) -> int:
        """Outputs of a model: a logit a class, or one value."""
        return len(self.classes) if self.target is None else 1


@dataclass(frozen=True)
class Repeating:
    """A column beside those of the schema whose words repeat: the number of each first row's word."""

    name: str
    words: NDArray[np.int64]  # [M] of the table's first M rows; -1 where the cell is missing


@dataclass(frozen=True)
class Table:
    """Rows as a task loads them: `x` [N, C] float64 with NaN for missing, and `y` [N].

    `y` are int64 classes, or float64 values in the target's own unit. Rows with one number in
    `blocks` [N] int64 stay together when a client's rows are split, as the lines of one speech
    must: neighbours know too much of each other. `unread` are columns that stand beside those of the
    schema where the rows come from, by name: a site wants to know of them. Those of which the words
    repeat may stand in `repeating`, as long as the rows are as they were loaded.

    One of these takes the place of a drawn split: `parts` [N] int8, the part of each row as a
    benchmark brings it (0 training, 1 validation, 2 test); or `times` [N] float64, finite, by which
    the earliest rows train, and the latest test. Raises ValueError for what contradicts itself.
    """

    x: NDArray[np.float64]
    y: NDArray[Any]
    blocks: NDArray[np.int64] | None = None  # None: every row is by itself
    unread: tuple[str, ...] = ()
    parts: NDArray[np.int8] | None = None  # None: the split is drawn
    times: NDArray[np.float64] | None = None  # None: the order of rows says nothing
    # (column, word) of words that the schema does not declare, for a person; a few of each column
    strange: tuple[tuple[str, str], ...] = ()
    repeating: tuple[Repeating, ...] = ()
    unlabelled: int = 0  # rows beside these that had no label, and were left out

    def __post_init__(self) -> None:
        """Check what decides the split: lengths, values, and that it is one thing."""
        deciding = {
            name: getattr(self, name) for name in _BESIDE if getattr(self, name) is not None
        }
        for name, values in deciding.items():
            if values.shape != (len(self),):
                raise ValueError(
                    f"{name} is of shape {values.shape}, and there are {len(self)} rows"
                )
        if len(deciding) > 1:
            raise ValueError(
                f"{' and '.join(deciding)} each decide the split of the rows: give one"
            )
        if self.parts is not None and not np.isin(self.parts, (0, 1, 2)).all():
            raise ValueError("parts are 0 (training), 1 (validation) and 2 (test)")
        if self.times is not None and not np.isfinite(self.times).all():
            raise ValueError("a time is missing or infinite")

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.y)

    @cached_property
    def hashes(self) -> Hashes:
        """A number [N] for each row with its label, which equal rows share (`hash_rows`)."""
        return hash_rows(self.x, self.y)

    def take(self, rows: NDArray[np.int64]) -> "Table":
        """The rows with these indices, in their order; hashes that are known need not be made again."""
        kept: dict[str, Any] = {"x": self.x[rows], "y": self.y[rows], "repeating": ()}
        beside = {name: getattr(self, name) for name in _BESIDE}
        kept |= {name: of[rows] for name, of in beside.items() if of is not None}
        taken = replace(self, **kept)
        if "hashes" in self.__dict__:  # a cached property's value
            taken.__dict__["hashes"] = self.hashes[rows]
        return taken


_BESIDE = ("blocks", "parts", "times")  # [N] each, or None; at most one of them is given


def join(tables: Sequence[Table]) -> Table:
    """All rows, one table after the other. Equal numbers in `blocks` are one block.

    Raises ValueError for no table, and where one has what decides the split and another has not.
    """
    if not tables:
        raise ValueError("there is no table to join")
    beside: dict[str, Any] = {}
    for name in _BESIDE:
        columns = [getattr(table, name) for table in tables]
        if any(of is None for of in columns) and any(of is not None for of in columns):
            raise ValueError(f"some tables have {name}, and some have none")
        beside[name] = None if columns[0] is None else np.concatenate(columns)
    x, y = np.concatenate([t.x for t in tables]), np.concatenate([t.y for t in tables])
    strange = tuple(dict.fromkeys(pair for table in tables for pair in table.strange))
    left = sum(table.unlabelled for table in tables)
    return replace(tables[0], x=x, y=y, strange=strange, unlabelled=left, **beside)


def split_of(table: Table) -> str | None:
    """What of the table decides how its rows are split, in words; None where that is drawn."""
    if table.parts is not None:
        return "the rows' own split"
    return "the time of the rows" if table.times is not None else None


def is_inside(values: Values, bounds: Column | Target) -> NDArray[np.bool_]:
    """Which values [N] lie from `low` to `high`, ends included; None is no bound, and NaN is outside."""
    low = -math.inf if bounds.low is None else bounds.low
    high = math.inf if bounds.high is None else bounds.high
    return np.asarray((values >= low) & (values <= high))


def mark_missing(x: Values, schema: Schema) -> Values:
    """The cells [N, C] with NaN for each that is missing: `without_codes` of all columns.

    `x` itself where no column has codes; else a copy.
    """
    coded = [group for group in schema.alike if _has_codes(group.first)]
    if coded:
        x = x.copy()
    for group in coded:
        x[:, group.places] = without_codes(x[:, group.places], group.first)
    return x


def _has_codes(column: Column) -> bool:
    return bool(column.missing_codes or column.categories)


def without_codes(values: Values, column: Column) -> Values:
    """Values of a column, in an array of any shape, with its codes for "missing" as NaN."""
    if not _has_codes(column):
        return values.copy()
    is_missing = np.isin(values, column.missing_codes)
    if column.categories and (column.unknown == "missing" or column.kind == "ordinal"):
        is_missing |= ~np.isin(values, column.categories)
    return np.where(is_missing, np.nan, values)


def present_values(values: Values, column: Column) -> Values:
    """Those of the values [N] of a column that are neither NaN nor one of its codes for "missing"."""
    cleaned = without_codes(values, column)
    return cleaned[~np.isnan(cleaned)]


@dataclass(frozen=True)
class Part:
    """Rows as the model takes them: `x` [N, F] float32 and `y` [N].

    `y` are int64 classes, or float32 values in units of the target's scale. A model is trained on
    `y`, and judged by `exact` [N] float64, the same before it was rounded to float32.
    """

    x: NDArray[np.float32]
    y: NDArray[Any]
    num_classes: int  # K; 0 for a regression
    exact: NDArray[np.float64] | None = None  # None: as `y`

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.y)
