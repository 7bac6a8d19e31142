"""Fit on training rows, apply to any rows: impute, bound outliers, scale, code, mark what was missing.

Pure functions over plain arrays, scikit-learn underneath. The width F of the result follows from
the schema and the config alone, so that all clients' models have one shape.

Shapes: N rows, C columns of the schema, F model inputs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema, Table, without_codes
from calyx.errors import ConfigError
from calyx.preprocessing.config import Constants, PreprocessingConfig
from calyx.preprocessing.imputation import category_fill, is_fill, number_fill
from calyx.words.digits import plain

Values = NDArray[np.float64]
# Of a declared range's width: a thousandth of a deviation where the range is a million times too wide.
LEAST_SCALE = 1e-9


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


@dataclass(frozen=True)
class Fitted:
    """Everything that `apply` needs; plain numbers, so that it can be stored and hashed."""

    schema: Schema
    cfg: PreprocessingConfig
    columns: tuple[ColumnFit, ...]


def num_inputs(schema: Schema, cfg: PreprocessingConfig) -> int:
    """F, the width of the model's input."""
    return len(feature_names(schema, cfg))


def feature_names(schema: Schema, cfg: PreprocessingConfig) -> tuple[str, ...]:
    """The names of the F inputs, in order: of each column its value or categories, then its marks."""
    return tuple(name for column in schema.columns for name in _names(column, cfg))


def _names(column: Column, cfg: PreprocessingConfig) -> list[str]:
    if column.kind == "categorical":
        names = [f"{column.name}={plain(category)}" for category in column.categories]
    else:
        names = [column.name]
        if column.kind == "numeric" and cfg.outliers == "flag":
            names.append(f"{column.name} is an outlier")
    if column.may_be_missing:
        names.append(f"{column.name} is missing")
    return names


def fit(table: Table, schema: Schema, cfg: PreprocessingConfig, fold: int = 0) -> Fitted:
    """Learn from training rows; or take what was learnt from all clients', for this `fold`.

    Raises ValueError for an empty table or another number of columns, and ConfigError for
    constants that no rows can have given.
    """
    if len(table) == 0:
        raise ValueError("there are no rows to fit on")
    if cfg.fitted is not None:
        return fit_by_config(schema, cfg, fold)
    columns = zip(_columns(table.x, schema), schema.columns, strict=True)
    return Fitted(schema, cfg, tuple(_fit(values, column, cfg) for values, column in columns))


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
    pairs = zip(schema.columns, constants, strict=True)
    return Fitted(schema, cfg, tuple(_fit_by_config(column, row, cfg) for column, row in pairs))


def _fit_by_config(column: Column, constants: Constants, cfg: PreprocessingConfig) -> ColumnFit:
    fitted = _read_constants(constants, unscaled=1.0)
    if not _is_sound(fitted, column, cfg):
        raise ConfigError(f"preprocessing.fitted has impossible values for {column.name}.")
    return fitted


def _is_sound(fitted: ColumnFit, column: Column, cfg: PreprocessingConfig) -> bool:
    is_number = column.kind == "numeric"
    how = cfg.numeric_imputation if is_number else cfg.categorical_imputation
    if not (column.kind in ("image", "text") or how == "none" or is_fill(fitted.fill, column, cfg)):
        return False
    if not is_number or column.low is None or column.high is None:
        is_plain = (fitted.low, fitted.high) == (-np.inf, np.inf)
        return is_plain and (fitted.mean, fitted.scale) == (0.0, 1.0)
    width = column.high - column.low
    if fitted.high - fitted.low < LEAST_SCALE * width:
        return False
    if fitted.low > column.high or fitted.high < column.low:  # every value would become one
        return False
    if cfg.scaling == "none":
        return (fitted.mean, fitted.scale) == (0.0, 1.0)
    is_inside = column.low <= fitted.mean <= column.high
    return is_inside and LEAST_SCALE * width <= fitted.scale <= width


def _read_constants(constants: Constants, unscaled: float) -> ColumnFit:
    """A column's constants; `unscaled` is the scale where there is none."""
    fill, low, high, mean, scale = constants
    return ColumnFit(
        fill=np.nan if fill is None else fill,
        low=-np.inf if low is None else low,
        high=np.inf if high is None else high,
        mean=0.0 if mean is None else mean,
        scale=unscaled if scale is None else scale,
    )


def constants_of(fitted: Fitted) -> tuple[Constants, ...]:
    """The constants of each column, in the form of `preprocessing.fitted`."""

    def finite(value: float) -> float | None:
        return value if np.isfinite(value) else None

    return tuple(
        (finite(c.fill), finite(c.low), finite(c.high), c.mean, finite(c.scale))
        for c in fitted.columns
    )


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
    pairs = zip(schema.columns, constants, strict=True)
    return Fitted(schema, cfg, tuple(_recall_column(column, row) for column, row in pairs))


def _recall_column(column: Column, constants: Constants) -> ColumnFit:
    _, _, _, mean, scale = constants
    is_scale = scale > 0 if scale is not None else column.kind == "numeric"
    if mean is None or not is_scale or not _is_plain(column, constants):
        raise ConfigError(f"the constants of the column {column.name} are impossible")
    return _read_constants(constants, unscaled=np.inf)


def _is_plain(column: Column, constants: Constants) -> bool:
    """Whether all are finite; a column that is no number has neither bounds nor a scale."""
    _, low, high, mean, scale = constants
    if not all(value is None or np.isfinite(value) for value in constants):
        return False
    if column.kind == "numeric":
        return low is None or high is None or low <= high
    return (low, high, mean, scale) == (None, None, 0.0, 1.0)


def _columns(x: Values, schema: Schema) -> list[Values]:
    """The columns [N] of `x`, with the schema's codes for "missing" as NaN."""
    if x.shape[1] != len(schema.columns):
        raise ValueError(f"the table has {x.shape[1]} columns, the schema {len(schema.columns)}")
    return [without_codes(x[:, i], column) for i, column in enumerate(schema.columns)]


def _fit(values: Values, column: Column, cfg: PreprocessingConfig) -> ColumnFit:
    present = values[~np.isnan(values)]
    if column.categories:
        return ColumnFit(category_fill(present, column, cfg), -np.inf, np.inf, 0.0, 1.0)
    if column.kind != "numeric":
        return ColumnFit(np.nan, -np.inf, np.inf, 0.0, 1.0)
    fill = number_fill(present, column, cfg)
    low, high = _bounds(present, cfg)
    filled = np.where(np.isnan(values), fill, values)
    if cfg.outliers == "clip":
        filled = np.clip(filled, low, high)
    mean, scale = _scaling(filled, column, cfg)
    return ColumnFit(fill, low, high, mean, scale)


def _bounds(present: Values, cfg: PreprocessingConfig) -> tuple[float, float]:
    """`outlier_bounds` of the values that there are."""
    if len(present) == 0:
        return -np.inf, np.inf
    first, third = np.quantile(present, [0.25, 0.75]).tolist()
    return outlier_bounds(first, third, 0.0, cfg)


def outlier_bounds(
    first: float, third: float, off: float, cfg: PreprocessingConfig
) -> tuple[float, float]:
    """Quartiles ± iqr_factor · IQR; `off` ≥ 0 is how far both quartiles together may be off.

    Where the quartiles are equal most rows have one value, and any other would count as an
    outlier: such a column is not bounded. Nor is one whose quartiles differ by less than twice of
    what they may be off: a difference made of that alone would cut what is sound.
    """
    width = third - first
    if cfg.outliers == "keep" or width <= 0 or width < 2 * off:
        return -np.inf, np.inf
    reach = cfg.iqr_factor * width
    return first - reach, third + reach


def _scaling(filled: Values, column: Column, cfg: PreprocessingConfig) -> tuple[float, float]:
    """Mean and deviation; of values that are all the same, half the declared range in its place."""
    if cfg.scaling == "none" or np.isnan(filled).all():
        return 0.0, 1.0
    mean, scale = moments(filled)
    if scale != 0:
        return mean, scale
    if column.low is None or column.high is None:
        return mean, np.inf
    return mean, (column.high - column.low) / 2


def apply(fitted: Fitted, table: Table) -> NDArray[np.float32]:
    """The model's input [N, F] of rows [N, C].

    An unknown category gives zeros in all its column's places. Raises ValueError that names the
    column where a missing value would be left, or for another number of columns.
    """
    columns = _columns(table.x, fitted.schema)
    with np.errstate(over="ignore"):  # an input that is infinite is told of what comes of it
        parts = [
            part
            for values, column, learnt in zip(
                columns, fitted.schema.columns, fitted.columns, strict=True
            )
            for part in _apply(values, column, learnt, fitted.cfg)
        ]
        return np.stack(parts, axis=1).astype(np.float32)


def _apply(
    values: Values, column: Column, learnt: ColumnFit, cfg: PreprocessingConfig
) -> list[Values]:
    missing = np.isnan(values)
    filled = np.where(missing, learnt.fill, values)
    if np.isnan(filled).any():
        raise ValueError(
            f"the column {column.name} has missing values, and {_explain_left(column, cfg)}"
        )
    if column.kind == "categorical":
        parts = [(filled == category).astype(np.float64) for category in column.categories]
    elif column.kind == "ordinal":
        parts = [_ranks(filled, column.categories)]
    else:
        bounded = np.clip(filled, learnt.low, learnt.high) if cfg.outliers == "clip" else filled
        parts = [(bounded - learnt.mean) / learnt.scale]
        if column.kind == "numeric" and cfg.outliers == "flag":
            # NaN compares false: a value that was imputed is no outlier of this row's.
            parts.append(((values < learnt.low) | (values > learnt.high)).astype(np.float64))
    if column.may_be_missing:
        parts.append(missing.astype(np.float64))
    return parts


def _explain_left(column: Column, cfg: PreprocessingConfig) -> str:
    """Why missing values of a column stay, and what to do about it."""
    if column.kind in ("image", "text"):
        return f"those of kind {column.kind} are not filled; give these cells a value"
    key = "numeric" if column.kind == "numeric" else "categorical"
    how = cfg.numeric_imputation if key == "numeric" else cfg.categorical_imputation
    if how != "none":  # of a run's model without the constants of one of its clients
        return f"preprocessing.{key}_imputation={how} fills them as one client's rows say: give client=NAME"
    return f"preprocessing.{key}_imputation=none leaves them; use preprocessing=local"


def _ranks(values: Values, categories: tuple[float, ...]) -> Values:
    """The place of each value among the categories, scaled to 0 … 1; the middle where it is none."""
    ranks = np.full(len(values), (len(categories) - 1) / 2)
    for place, category in enumerate(categories):
        ranks[values == category] = place
    return ranks / max(1, len(categories) - 1)


NOISE = (
    2.0**-49
)  # of a value: what arithmetic in another order may change, eight steps of a float64


def moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and population deviation of `values` [N], NaN left out; of a constant it is 0.

    scikit-learn takes for a constant what it cannot tell from one with N · 2^-52 of the mean: four
    thousand times of the second in nanoseconds that differ by thousands. Those are centred first.
    """
    mean, scale = _fit_scaler(values)
    least, greatest = float(np.nanmin(values)), float(np.nanmax(values))
    if scale != 1.0:
        return mean, scale
    if greatest - least <= NOISE * max(abs(least), abs(greatest)):
        return mean, 0.0
    shift, scale = _fit_scaler(values - least)
    return least + shift, scale


def _fit_scaler(values: NDArray[np.float64]) -> tuple[float, float]:
    from sklearn.preprocessing import StandardScaler

    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is told of the update
        scaler = StandardScaler().fit(values[:, None])
    return float(scaler.mean_[0]), float(scaler.scale_[0])
