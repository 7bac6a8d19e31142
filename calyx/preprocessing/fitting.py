"""Fit on training rows, apply to any rows: impute, bound outliers, scale, code, mark what was missing.

Pure functions over plain arrays, and over all columns at a time that are coded alike
(docs/decisions/0079). The width F of the result follows from the schema and the config alone, so that
all clients' models have one shape.

Shapes: N rows, C columns of the schema, F model inputs; k columns that are coded alike.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Alike, Column, Schema, Table, mark_missing
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.constants import fit_by_config
from calyx.preprocessing.fitted import Fitted, learn_nothing
from calyx.preprocessing.imputation import category_fills, number_fills
from calyx.preprocessing.spread import bounds, by_number, clip, moments
from calyx.words.digits import plain

Values = NDArray[np.float64]


def num_inputs(schema: Schema, cfg: PreprocessingConfig) -> int:
    """F, the width of the model's input."""
    return int(_widths(schema, cfg).sum())


def _widths(schema: Schema, cfg: PreprocessingConfig) -> NDArray[np.int64]:
    """How many inputs each column [C] becomes."""
    widths = np.empty(len(schema.columns), dtype=np.int64)
    for group in schema.alike:
        widths[group.places] = len(_names(group.first, cfg))
    return widths


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
    x, fitted = _mark_missing(table, schema), learn_nothing(schema, cfg)
    for group in schema.blocks(len(table)):
        if group.first.categories or group.first.kind == "numeric":
            # A column in one piece: sums along it do not depend on what stands beside it.
            block = np.ascontiguousarray(x[:, group.places].T)
            _fit(block, group, fitted)
    return fitted


def _mark_missing(table: Table, schema: Schema) -> Values:
    """The cells [N, C], with NaN for what is missing; not to be written to. Raises ValueError."""
    if table.x.shape[1] != len(schema.columns):
        raise ValueError(
            f"the table has {table.x.shape[1]} columns, the schema {len(schema.columns)}"
        )
    return mark_missing(table.x, schema)


def _fit(block: Values, group: Alike, fitted: Fitted) -> None:
    """Write what the columns [k, N] of a group have learnt to their places."""
    cfg, places, schema = fitted.cfg, group.places, fitted.schema
    for some, present in by_number(block):
        at = places[some]
        if group.first.categories:
            fitted.fill[at] = category_fills(present, group.first, cfg)
        else:
            fitted.fill[at] = number_fills(present, schema.low[at], schema.high[at], cfg)
            fitted.low[at], fitted.high[at] = bounds(present, cfg)
    if group.first.categories or cfg.scaling == "none":
        return
    filled = np.where(np.isnan(block), fitted.fill[places][:, None], block)
    if cfg.outliers == "clip":
        filled = clip(filled, fitted.low[places][:, None], fitted.high[places][:, None])
    mean, scale = moments(filled)
    # Of values that are all the same, half the declared range is the deviation.
    scale = np.where(scale == 0, (schema.high[places] - schema.low[places]) / 2, scale)
    is_empty = np.isnan(filled).all(axis=1)
    fitted.mean[places] = np.where(is_empty, 0.0, mean)
    fitted.scale[places] = np.where(is_empty, 1.0, scale)


def apply(fitted: Fitted, table: Table) -> NDArray[np.float32]:
    """The model's input [N, F] of rows [N, C].

    An unknown category gives zeros in all its column's places. Raises ValueError that names the
    column where a missing value would be left, or for another number of columns.
    """
    schema, cfg = fitted.schema, fitted.cfg
    x = _mark_missing(table, schema)
    check_filled(x, fitted)
    widths = _widths(schema, cfg)
    ends = np.cumsum(widths)
    inputs = np.empty((len(table), int(widths.sum())), dtype=np.float32)
    for group in schema.blocks(len(table)):
        places = group.places
        values = x[:, places]
        is_missing = np.isnan(values)
        filled = np.where(is_missing, fitted.fill[places], values) if is_missing.any() else values
        first = ends[places] - widths[places]
        with np.errstate(over="ignore"):  # an input that is infinite is told of what comes of it
            coded = _code(filled, group, fitted)
            inputs[:, first[:, None] + np.arange(coded.shape[2])] = coded
        if group.first.kind == "numeric" and cfg.outliers == "flag":
            # NaN compares false: a value that was imputed is no outlier of this row's.
            is_off = (values < fitted.low[places]) | (values > fitted.high[places])
            inputs[:, first + 1] = is_off
        if group.first.may_be_missing:
            inputs[:, ends[places] - 1] = is_missing
    return inputs


def check_filled(x: Values, fitted: Fitted) -> None:
    """Raise ValueError for the first column with a missing value among the rows [N, C] and no fill."""
    unfilled = np.flatnonzero(np.isnan(fitted.fill))
    left = unfilled[np.isnan(x[:, unfilled]).any(axis=0)]
    if len(left):
        column = fitted.schema.columns[left[0]]
        why = _explain_left(column, fitted.cfg)
        raise ValueError(f"the column {column.name} has missing values, and {why}")


def _code(filled: Values, group: Alike, fitted: Fitted) -> NDArray[np.generic]:
    """The inputs [N, k, ·] that the values [N, k] of a group's columns become, without their marks."""
    categories = group.first.categories
    if group.first.kind == "categorical":
        return np.equal(filled[:, :, None], categories)
    if group.first.kind == "ordinal":
        return rank(filled, categories)[:, :, None]
    places = group.places
    if fitted.cfg.outliers == "clip":
        filled = clip(filled, fitted.low[places], fitted.high[places])
    scaled: Values = (filled - fitted.mean[places]) / fitted.scale[places]
    return scaled[:, :, None]


def _explain_left(column: Column, cfg: PreprocessingConfig) -> str:
    """Why missing values of a column stay, and what to do about it."""
    if column.kind in ("image", "text"):
        return f"those of kind {column.kind} are not filled; give these cells a value"
    key = "numeric" if column.kind == "numeric" else "categorical"
    how = cfg.numeric_imputation if key == "numeric" else cfg.categorical_imputation
    if how != "none":  # of a run's model without the constants of one of its clients
        return f"preprocessing.{key}_imputation={how} fills them as one client's rows say: give client=NAME"
    return f"preprocessing.{key}_imputation=none leaves them; use preprocessing=local"


def rank(values: Values, categories: tuple[float, ...]) -> Values:
    """The place of each value among the categories, scaled to 0 … 1; the middle where it is none."""
    ranks = np.full(values.shape, (len(categories) - 1) / 2)
    for place, category in enumerate(categories):
        ranks[values == category] = place
    return ranks / max(1, len(categories) - 1)
