"""What statistics are about: one variable a column, one for all pixels of an image, and a target.

Which of these a variable is, its role says: names are the user's, and none is reserved.

Shapes: N rows, C columns of the schema.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema, Table, Target, mark_missing, without_codes

Values = NDArray[np.float64]
Bounds = tuple[float, float]
Role = Literal["column", "image", "target"]  # what a variable is; its name is the user's alone
# A regression's target is counted within center ± so many scales: no rule of anybody's, but how far
# whole numbers of steps reach. Sites' means are compared within center ± NEAR scales.
REACH, NEAR = 2.0**16, 8.0
_MOST = 1e307


@dataclass(frozen=True)
class Variable:
    """Something measured of every row.

    `low` and `high` are declared, ends included, and None where nothing is. A number is counted
    within its `bounds`; one without them has no mean and no histogram. A categorical one has
    `categories` instead, and `words` for them.
    """

    name: str  # of no other variable of the schema
    columns: tuple[int, ...]  # of the table; several are averaged over a row; none of a target
    unit: str = ""
    low: float | None = None
    high: float | None = None
    categories: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    role: Role = "column"
    target: Target | None = None  # whose values these are

    @property
    def bounds(self) -> Bounds | None:
        """Within which a number is counted: its declared range; of a target also its reach."""
        low, high = self.low, self.high
        if self.target is not None:
            reach = REACH * self.target.scale
            low = max(self.target.center - reach, -_MOST) if low is None else low
            high = min(self.target.center + reach, _MOST) if high is None else high
        if self.categories or low is None or high is None or low >= high:
            return None
        return low, high

    @property
    def near(self) -> Bounds:
        """Within which means of sites are compared, in 4,096 steps; of a column its bounds."""
        low, high = self.bounds or (0.0, 1.0)
        if self.target is None:
            return low, high
        center, reach = self.target.center, NEAR * self.target.scale
        return max(low, center - reach), min(high, center + reach)


@lru_cache(maxsize=16)
def variables(schema: Schema) -> tuple[Variable, ...]:
    """All variables of a schema: its columns in order, its image, a regression's target."""
    columns, pixels = [], []
    for i, column in enumerate(schema.columns):
        if column.kind == "image":
            pixels.append(i)
            continue
        is_number = column.kind == "numeric"
        columns.append(
            Variable(
                column.name,
                (i,),
                column.unit,
                column.low if is_number else None,
                column.high if is_number else None,
                tuple(column.categories),
                tuple(map(column.word, column.categories)),
            )
        )
    if pixels:
        first, taken = schema.columns[pixels[0]], {v.name for v in columns}
        if schema.target is not None:
            taken.add(schema.target.name)
        name = next(n for n in _image_names() if n not in taken)
        shown = Variable(name, tuple(pixels), "mean pixel", first.low, first.high, role="image")
        columns.append(shown)
    if schema.target is not None:
        of = schema.target
        columns.append(Variable(of.name, (), low=of.low, high=of.high, role="target", target=of))
    return tuple(columns)


def _image_names() -> Iterator[str]:
    """What all pixels together are called: "image", where no column is called so."""
    yield "image"
    yield from (f"image ({i})" for i in count(2))


@lru_cache(maxsize=16)
def target_of(schema: Schema) -> Variable | None:
    """The variable of a regression's target."""
    return next((v for v in variables(schema) if v.role == "target"), None)


@lru_cache(maxsize=16)
def numeric(schema: Schema) -> tuple[Variable, ...]:
    """The variables that have a declared range."""
    return tuple(v for v in variables(schema) if v.bounds is not None)


def categorical(schema: Schema) -> tuple[Variable, ...]:
    """The variables that have categories."""
    return tuple(v for v in variables(schema) if v.categories)


def values_of(variable: Variable, table: Table, schema: Schema) -> tuple[Values, int]:
    """A variable's values [N], NaN where missing, and how many of them are codes for "missing"."""
    if variable.role == "target":
        return table.y.astype(np.float64), 0
    if len(variable.columns) == 1:
        (i,) = variable.columns
        values = without_codes(table.x[:, i], schema.columns[i])
        return values, int((np.isnan(values) & ~np.isnan(table.x[:, i])).sum())
    pixels = np.array(variable.columns)
    # A row's pixels in one piece: their sum does not depend on what stands beside them.
    clean = np.ascontiguousarray(mark_missing(table.x, schema)[:, pixels])
    mean = clean.mean(axis=1)
    coded = np.isnan(mean) & ~np.isnan(table.x[:, pixels]).any(axis=1)
    return mean, int(coded.sum())
