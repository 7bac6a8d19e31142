"""What a missing value becomes: of a number one that is typical, of a category the commonest or none.

See docs/decisions/0042-absence-is-no-category.md.

Shapes: C columns of the schema, k of them at a time, n values of each.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema
from calyx.errors import ConfigError
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.spread import commonest
from calyx.words.digits import plain

Values = NDArray[np.float64]


def unknown_category(column: Column) -> float:
    """What stands for "it is not known which": none of the categories, whatever their order.

    Its one-hot code is zeros, and its rank the middle of all.
    """
    return min(column.categories) - 1.0


def category_fills(present: Values, column: Column, cfg: PreprocessingConfig) -> Values:
    """What a missing category becomes in each of k columns like this one, with these values [k, n].

    The most frequent one, or none of them; NaN stays missing. A number (`fill_value`) is no category.
    Nor is one of several equally frequent ones the most frequent: the order of the schema's words
    would decide which.
    """
    fill = np.nan if cfg.categorical_imputation == "none" else unknown_category(column)
    if cfg.categorical_imputation != "mode" or not present.shape[1]:
        return np.full(len(present), fill)
    mode, is_sure = commonest(present)
    return np.where(is_sure, mode, fill)


def number_fills(present: Values, low: Values, high: Values, cfg: PreprocessingConfig) -> Values:
    """What a missing number becomes in each of k columns with these values [k, n] and declared bounds [k].

    Of no values at all it is the middle of the declared range. NaN stays missing.
    """
    has_values = present.shape[1] > 0
    match cfg.numeric_imputation:
        case "none":
            return np.full(len(present), np.nan)
        case "constant":
            return constant_fills(low, high, cfg)
        case "median" if has_values:
            return np.asarray(np.median(present, axis=1))
        case "mode" if has_values:
            return commonest(present)[0]
    is_bounded = np.isfinite(low) & np.isfinite(high)
    middle = (np.where(is_bounded, low, 0.0) + np.where(is_bounded, high, 0.0)) / 2
    return np.where(is_bounded, middle, 0.0)  # 0 in every row, so that it says nothing


def are_fills(fill: Values, schema: Schema, cfg: PreprocessingConfig) -> NDArray[np.bool_]:
    """Whether a missing value of each column [C] may become this one: `fill` [C], NaN where it is left."""
    may_be = np.ones(len(fill), dtype=np.bool_)  # pixels and texts are not filled
    for group in schema.alike:
        own, column = fill[group.places], group.first
        low, high = schema.low[group.places], schema.high[group.places]
        if column.categories and cfg.categorical_imputation != "none":
            is_one = np.isin(own, column.categories) & (cfg.categorical_imputation == "mode")
            may_be[group.places] = is_one | (own == unknown_category(column))
        elif column.kind == "numeric" and cfg.numeric_imputation == "constant":
            wanted = constant_fills(low, high, cfg)
            may_be[group.places] = (own == wanted) | (np.isnan(own) & np.isnan(wanted))
        elif column.kind == "numeric" and cfg.numeric_imputation != "none":
            may_be[group.places] = (own >= low) & (own <= high)
    return may_be


def constant_fills(low: Values, high: Values, cfg: PreprocessingConfig) -> Values:
    """`fill_value` [k] where it is near the columns' declared bounds [k]; else NaN, which stays missing.

    A server names it, and far from all values it would make rows with a hole stand out in a sum.
    """
    return np.where(are_near(cfg.fill_value, low, high), cfg.fill_value, np.nan)


def constant_fill(column: Column, cfg: PreprocessingConfig) -> float:
    """`constant_fills` of one column."""
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    return float(constant_fills(np.array([low]), np.array([high]), cfg)[0])


def are_near(value: float, low: Values, high: Values) -> NDArray[np.bool_]:
    """Whether a number lies within each of the declared ranges [k], or at most its width beside it."""
    with np.errstate(over="ignore"):
        width = high - low  # infinite where a bound is: all numbers are near
        return np.asarray((low - width <= value) & (value <= high + width))


def check_fill(schema: Schema, cfg: PreprocessingConfig) -> None:
    """Refuse a `fill_value` far from a column of numbers that may be missing. Raises ConfigError."""
    if cfg.numeric_imputation != "constant":
        return
    is_near = are_near(cfg.fill_value, schema.low, schema.high)
    for column, near in zip(schema.columns, is_near.tolist(), strict=True):
        if column.kind == "numeric" and column.may_be_missing and not near:
            raise ConfigError(
                f"preprocessing.fill_value={plain(cfg.fill_value)} is far from the values of {column.name}, "
                f"which the schema declares from {plain(float(column.low or 0))} to "
                f"{plain(float(column.high or 0))}: its missing cells would stand out. Use a value near, or "
                "preprocessing.numeric_imputation=median."
            )
