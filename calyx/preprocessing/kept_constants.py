"""Constants that one client fitted on its own rows, as it keeps them: plain numbers, read with care.

A run folder may come from a stranger, and a file may be damaged: what no fit can have given is refused.
"""

import math

import numpy as np

from calyx.data.schema import Column, Schema
from calyx.errors import ConfigError
from calyx.preprocessing.config import Constants, PreprocessingConfig
from calyx.preprocessing.fitting import ColumnFit, Fitted


def recall_fit(
    schema: Schema, cfg: PreprocessingConfig, constants: tuple[Constants, ...]
) -> Fitted:
    """What `constants_of` was of. Raises ConfigError where no fit of this schema has given it."""
    if len(constants) != len(schema.columns):
        raise ConfigError(
            f"there are constants of {len(constants)} columns, and the schema has {len(schema.columns)}"
        )
    pairs = zip(schema.columns, constants, strict=True)
    return Fitted(schema, cfg, tuple(_fit(column, row) for column, row in pairs))


def _fit(column: Column, constants: Constants) -> ColumnFit:
    fill, low, high, mean, scale = constants
    is_scale = scale > 0 if scale is not None else column.kind == "numeric"
    if mean is None or not is_scale or not _is_plain(column, constants):
        raise ConfigError(f"the constants of the column {column.name} are impossible")
    return ColumnFit(
        fill=np.nan if fill is None else fill,
        low=-np.inf if low is None else low,
        high=np.inf if high is None else high,
        mean=mean,
        scale=np.inf if scale is None else scale,
    )


def _is_plain(column: Column, constants: Constants) -> bool:
    """Whether all are finite; a column that is no number has neither bounds nor a scale."""
    _, low, high, mean, scale = constants
    if not all(value is None or math.isfinite(value) for value in constants):
        return False
    if column.kind == "numeric":
        return low is None or high is None or low <= high
    return (low, high, mean, scale) == (None, None, 0.0, 1.0)
