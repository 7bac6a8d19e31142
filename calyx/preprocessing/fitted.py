"""What a preprocessing has learnt of each column, and its form in a config or a file.

Shapes: C columns of the schema.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema
from calyx.preprocessing.config import Constants, PreprocessingConfig

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnFit:
    """What one column learnt from the training rows, in the column's own unit."""

    fill: float  # in place of a missing value; NaN leaves it missing
    low: float  # outlier bounds; ±infinity bounds nothing
    high: float
    mean: float  # after imputation and clipping
    # > 0; infinity where neither the rows nor the schema tell how far values lie apart: then every
    # value is read as the mean (`calyx.preprocessing.absence` says so)
    scale: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything that `apply` needs: of each column [C] the constants that `ColumnFit` describes."""

    schema: Schema
    cfg: PreprocessingConfig
    fill: Values
    low: Values
    high: Values
    mean: Values
    scale: Values

    @cached_property
    def columns(self) -> tuple[ColumnFit, ...]:
        """The same by column."""
        arrays = (self.fill, self.low, self.high, self.mean, self.scale)
        return tuple(map(ColumnFit, *(array.tolist() for array in arrays)))


def learn_nothing(schema: Schema, cfg: PreprocessingConfig) -> Fitted:
    """Constants that leave all values as they are, and holes as holes: arrays of the caller's own."""
    zeros = np.zeros(len(schema.columns))
    return Fitted(
        schema=schema,
        cfg=cfg,
        fill=zeros + np.nan,
        low=zeros - np.inf,
        high=zeros + np.inf,
        mean=zeros,
        scale=zeros + 1.0,
    )


def fitted_of(schema: Schema, cfg: PreprocessingConfig, columns: Iterable[ColumnFit]) -> Fitted:
    """What was learnt of each column apart, in the schema's order."""
    table = np.array([astuple(column) for column in columns], dtype=np.float64).reshape(-1, 5)
    fill, low, high, mean, scale = np.ascontiguousarray(table.T)
    return Fitted(schema, cfg, fill=fill, low=low, high=high, mean=mean, scale=scale)


def constants_of(fitted: Fitted) -> tuple[Constants, ...]:
    """The constants of each column, in the form of `preprocessing.fitted`."""
    return _as_constants(_stack(fitted))


def short_constants_of(fitted: Fitted) -> tuple[Constants, ...]:
    """`constants_of`, or a single one where all columns have the same, as an image's pixels have."""
    told = _stack(fitted)
    is_same = (told == told[:1]) | (np.isnan(told) & np.isnan(told[:1]))
    return _as_constants(told[:1] if is_same.all() else told)


def _stack(fitted: Fitted) -> NDArray[np.float64]:
    """The constants as an array [C, 5]."""
    return np.stack((fitted.fill, fitted.low, fitted.high, fitted.mean, fitted.scale), axis=1)


def _as_constants(told: NDArray[np.float64]) -> tuple[Constants, ...]:
    is_none = ~np.isfinite(told)
    is_none[:, 3] = False  # there is always a mean
    constants = told.astype(object)
    constants[is_none] = None
    return tuple(map(tuple, constants.tolist()))
