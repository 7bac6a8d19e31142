"""What statistics are about: one variable a column, and one for all the pixels of an image.

Shapes: N rows, C columns of the schema.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calyx.preprocessing.fitting import without_codes
from calyx.tasks.base import Schema, Table

Values = NDArray[np.float64]
TARGET = "target"  # the name of a regression's target among the variables
_REACH = 8.0  # a regression's target is measured within center ± so many scales


@dataclass(frozen=True)
class Variable:
    """Something measured of every row.

    `low` and `high` are declared, ends included, and None where nothing is: such a variable has
    no mean and no histogram. A categorical one has `categories` instead, and `words` for them.
    """

    name: str
    columns: tuple[int, ...]  # of the table; several are averaged over a row
    unit: str = ""
    low: float | None = None
    high: float | None = None
    categories: tuple[float, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The declared range of a numeric variable, if there is one."""
        if self.categories or self.low is None or self.high is None or self.low >= self.high:
            return None
        return self.low, self.high


@lru_cache(maxsize=16)
def variables(schema: Schema) -> tuple[Variable, ...]:
    """All variables of a schema: its columns in order, its image, a regression's target."""
    found, pixels = [], []
    for i, column in enumerate(schema.columns):
        if column.kind == "image":
            pixels.append(i)
            continue
        is_number = column.kind == "numeric"
        found.append(
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
        first = schema.columns[pixels[0]]
        found.append(Variable("image", tuple(pixels), "mean pixel", first.low, first.high))
    if schema.target is not None:
        center, reach = schema.target.center, _REACH * schema.target.scale
        found.append(Variable(TARGET, (), "", center - reach, center + reach))
    return tuple(found)


def numeric(schema: Schema) -> tuple[Variable, ...]:
    """Those with a declared range."""
    return tuple(v for v in variables(schema) if v.bounds is not None)


def categorical(schema: Schema) -> tuple[Variable, ...]:
    """Those with categories."""
    return tuple(v for v in variables(schema) if v.categories)


def values_of(variable: Variable, table: Table, schema: Schema) -> tuple[Values, int]:
    """A variable's values [N], NaN where missing, and how many of them are codes for "missing"."""
    if variable.name == TARGET and not variable.columns:
        return table.y.astype(np.float64), 0
    raw = table.x[:, list(variable.columns)]
    clean = np.column_stack(
        [without_codes(raw[:, j], schema.columns[i]) for j, i in enumerate(variable.columns)]
    )
    mean = clean[:, 0] if len(variable.columns) == 1 else clean.mean(axis=1)
    coded = np.isnan(mean) & ~np.isnan(raw).any(axis=1)
    return mean, int(coded.sum())
