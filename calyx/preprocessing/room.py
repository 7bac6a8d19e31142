"""How far a model's inputs can move, so that the rows that they come from stay such as the schema allows.

An image's cells and scaled numbers can; codes of categories, ranks, marks, texts and numbers that are
not scaled cannot. A number that is missing, or marked as an outlier, stays where it is: moved, it would be
a row that no preprocessing gives.

Shapes: F model inputs, C columns of the schema.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema
from calyx.errors import ConfigError
from calyx.preprocessing.config import WrittenPreprocessing
from calyx.preprocessing.fitted import Fitted


@dataclass(frozen=True, eq=False)
class Room:
    """Of each input [F] the ends between which it may be moved, in units of the input.

    `low` and `high` [F] float32; an input with low = high stays. `marks` [F, 2] int64 are the inputs
    that say that the value is missing or an outlier: where one is not 0, the row's input stays. F is none.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    marks: NDArray[np.int64]


def room_of(fitted: Fitted) -> Room:
    """The room of inputs that `calyx.preprocessing.fitting.apply` makes with these constants."""
    low: list[float] = []
    high: list[float] = []
    marks: list[tuple[int, int]] = []
    flags = fitted.cfg.outliers == "flag"
    for column, fit in zip(fitted.schema.columns, fitted.columns, strict=True):
        codes = len(column.categories) if column.kind == "categorical" else 1
        is_flagged = column.kind == "numeric" and flags
        width = codes + is_flagged + column.may_be_missing
        ends = (0.0, 0.0)
        if is_movable(column, fitted.cfg):
            ends = _ends(column)
            if column.kind == "numeric":
                cut = fitted.cfg.outliers in ("clip", "flag")
                bounds = (fit.low, fit.high) if cut else (-np.inf, np.inf)
                inside = np.clip(ends, *bounds)
                ends = ((inside[0] - fit.mean) / fit.scale, (inside[1] - fit.mean) / fit.scale)
        first = len(low)
        last = first + width
        missing = last - 1 if column.may_be_missing else -1
        low += [ends[0], *[0.0] * (width - 1)]
        high += [ends[1], *[0.0] * (width - 1)]
        marks += [(first + 1 if is_flagged else -1, missing), *[(-1, -1)] * (width - 1)]
    table = np.array(marks, dtype=np.int64).reshape(-1, 2)
    table[table < 0] = len(low)
    return Room(np.array(low, dtype=np.float32), np.array(high, dtype=np.float32), table)


def is_movable(column: Column, cfg: WrittenPreprocessing) -> bool:
    """Whether an attack may move the column's input."""
    return column.kind == "image" or (column.kind == "numeric" and cfg.scaling == "standard")


def check_room(schema: Schema, cfg: WrittenPreprocessing, key: str) -> None:
    """Raise ConfigError where an attack, which the config's `key` asks for, has nothing to move.

    And where a column that it would move has no declared range: nothing would say which rows there can be.
    """
    movable = [column for column in schema.columns if is_movable(column, cfg)]
    if not movable:
        unscaled = any(column.kind == "numeric" for column in schema.columns)
        cure = " Set preprocessing.scaling=standard, or" if unscaled else ""
        raise ConfigError(
            f"{key} moves pixels and scaled numbers, and this task's rows have neither."
            f"{cure or ' Please'} leave {key} out."
        )
    for column in movable:
        if column.low is None or column.high is None:
            end = "low" if column.low is None else "high"
            raise ConfigError(
                f"{key} keeps rows within the schema's ranges, and the column {column.name} has no {end}: "
                f"declare it in the task's schema, or leave {key} out."
            )


def _ends(column: Column) -> tuple[float, float]:
    low = -np.inf if column.low is None else column.low
    return low, np.inf if column.high is None else column.high
