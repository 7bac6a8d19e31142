"""Constants that come from elsewhere, a config or a client's file: taken where rows can have given them.

Shapes: C columns of the schema.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema
from calyx.errors import ConfigError
from calyx.preprocessing.config import Constants, PreprocessingConfig
from calyx.preprocessing.fitted import Fitted
from calyx.preprocessing.imputation import are_fills

Flags = NDArray[np.bool_]
# Of a declared range's width: a thousandth of a deviation where the range is a million times too wide.
LEAST_SCALE = 1e-9


def fit_by_config(schema: Schema, cfg: PreprocessingConfig, fold: int = 0) -> Fitted:
    """What the config brings. Raises ConfigError where it does not fit the schema.

    The server chose the constants: a mean outside a column's declared range, or a scale wider than
    it, is refused, since it would blind a model to a column; and so is a scale that would blow a
    few values up, or a fill that lets a missing value through.
    """
    fits = cfg.fitted or ()
    constants = fits[fold] if len(fits) > 1 and fold < len(fits) else fits[0] if fits else ()
    if len(constants) != len(schema.columns):
        raise ConfigError("preprocessing.fitted does not have the columns of the task's schema.")
    fitted = _read_constants(schema, cfg, constants, unscaled=1.0)
    wrong = np.flatnonzero(~(_are_scales(fitted) & are_fills(fitted.fill, schema, cfg)))
    if len(wrong):
        name = schema.columns[wrong[0]].name
        raise ConfigError(f"preprocessing.fitted has impossible values for {name}.")
    return fitted


def recall_fit(
    schema: Schema, cfg: PreprocessingConfig, constants: tuple[Constants, ...]
) -> Fitted:
    """What `constants_of` was of: a client's own fit, in a file of its run.

    A run folder may come from a stranger, and a file may be damaged. Raises ConfigError where no fit
    of this schema has given them.
    """
    if len(constants) != len(schema.columns):
        raise ConfigError(
            f"there are constants of {len(constants)} columns, and the schema has {len(schema.columns)}"
        )
    wrong = np.flatnonzero(~_are_plain(schema, constants))
    if len(wrong):
        name = schema.columns[wrong[0]].name
        raise ConfigError(f"the constants of the column {name} are impossible")
    return _read_constants(schema, cfg, constants, unscaled=np.inf)


def _are_scales(fitted: Fitted) -> Flags:
    """Whether rows can have given bounds, mean and scale [C] of each column."""
    schema = fitted.schema
    is_scaled = _is_number(schema) & np.isfinite(schema.low) & np.isfinite(schema.high)
    is_unscaled = (fitted.mean == 0.0) & (fitted.scale == 1.0)
    is_unbounded = (fitted.low == -np.inf) & (fitted.high == np.inf)
    with np.errstate(over="ignore"):
        width = schema.high - schema.low
        reach = fitted.high - fitted.low
    # Bounds too near each other, or beside the range, would make one of all values.
    is_bounded = (reach >= LEAST_SCALE * width) & (fitted.low <= schema.high)
    is_bounded &= fitted.high >= schema.low
    is_inside = (schema.low <= fitted.mean) & (fitted.mean <= schema.high)
    is_inside &= (LEAST_SCALE * width <= fitted.scale) & (fitted.scale <= width)
    is_sound = is_bounded & (is_unscaled if fitted.cfg.scaling == "none" else is_inside)
    return np.where(is_scaled, is_sound, is_unbounded & is_unscaled)


def _are_plain(schema: Schema, constants: Sequence[Constants]) -> Flags:
    """Whether each column's constants are finite, and of no bounds and no scale where it is no number."""
    table = _numbers(constants)
    is_none = np.isnan(table)
    _, low, high, mean, scale = table.T
    is_number = _is_number(schema)
    is_scale = np.where(is_none[:, 4], is_number, scale > 0)
    is_other = is_none[:, 1] & is_none[:, 2] & (mean == 0.0) & (scale == 1.0)
    is_sound = np.where(is_number, ~(low > high), is_other)  # a bound that there is not is NaN
    is_finite = ~np.isinf(table).any(axis=1) & ~is_none[:, 3]
    return np.asarray(is_finite & is_scale & is_sound)


def _read_constants(
    schema: Schema, cfg: PreprocessingConfig, constants: Sequence[Constants], unscaled: float
) -> Fitted:
    """The constants by column; `unscaled` is the scale where there is none."""
    fill, low, high, mean, scale = _numbers(constants).T.copy()
    return Fitted(
        schema=schema,
        cfg=cfg,
        fill=fill,
        low=np.where(np.isnan(low), -np.inf, low),
        high=np.where(np.isnan(high), np.inf, high),
        mean=np.where(np.isnan(mean), 0.0, mean),
        scale=np.where(np.isnan(scale), unscaled, scale),
    )


def _numbers(constants: Sequence[Constants]) -> NDArray[np.float64]:
    """The constants [C, 5], NaN for null."""
    return np.array(constants, dtype=np.float64).reshape(-1, 5)


def _is_number(schema: Schema) -> Flags:
    flags = np.zeros(len(schema.columns), dtype=np.bool_)
    for group in schema.alike:
        flags[group.places] = group.first.kind == "numeric"
    return flags
