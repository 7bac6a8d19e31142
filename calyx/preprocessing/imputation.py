"""What a missing value becomes: of a number one that is typical, of a category the commonest or none.

See docs/decisions/0042-absence-is-no-category.md. Shapes: N rows that have a value.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema, is_inside
from calyx.errors import ConfigError
from calyx.preprocessing.config import PreprocessingConfig
from calyx.words.digits import plain

Values = NDArray[np.float64]


def unknown_category(column: Column) -> float:
    """What stands for "it is not known which": none of the categories, whatever their order.

    Its one-hot code is zeros, and its rank the middle of all.
    """
    return min(column.categories) - 1.0


def category_fill(present: Values, column: Column, cfg: PreprocessingConfig) -> float:
    """What a missing category becomes: the most frequent one, or none of them; NaN stays missing.

    A number (`fill_value`) is no category. Nor is one of several equally frequent ones the most
    frequent: the order of the schema's words would decide which.
    """
    if cfg.categorical_imputation == "none":
        return np.nan
    distinct, counts = np.unique(present, return_counts=True)
    if cfg.categorical_imputation == "constant" or not len(present):
        return unknown_category(column)
    is_sure = (counts == counts.max()).sum() == 1
    return float(distinct[counts.argmax()]) if is_sure else unknown_category(column)


def number_fill(present: Values, column: Column, cfg: PreprocessingConfig) -> float:
    """What a missing number becomes; of none at all, the middle of the declared range. NaN stays missing."""
    match cfg.numeric_imputation:
        case "none":
            return np.nan
        case "constant":
            return constant_fill(column, cfg)
        case "median" if len(present):
            return float(np.median(present))
        case "mode" if len(present):
            distinct, counts = np.unique(present, return_counts=True)
            return float(distinct[counts.argmax()])  # the least of equally frequent ones
    if column.low is None or column.high is None:
        return 0.0  # in every row, so that it says nothing
    return (column.low + column.high) / 2


def is_fill(fill: float, column: Column, cfg: PreprocessingConfig) -> bool:
    """Whether a missing value may become this one."""
    if column.categories:
        is_one = fill in column.categories and cfg.categorical_imputation == "mode"
        return is_one or fill == unknown_category(column)
    if cfg.numeric_imputation == "constant":
        return bool(np.array_equal(fill, constant_fill(column, cfg), equal_nan=True))
    return bool(is_inside(np.asarray(fill), column))


def constant_fill(column: Column, cfg: PreprocessingConfig) -> float:
    """`fill_value` where it is near the column's declared values; else NaN, which stays missing.

    A server names it, and far from all values it would make rows with a hole stand out in a sum.
    """
    return cfg.fill_value if is_near(cfg.fill_value, column) else np.nan


def is_near(value: float, column: Column) -> bool:
    """Whether a number lies within the declared range, or at most its width beside it."""
    if column.low is None or column.high is None:
        return True
    width = column.high - column.low
    return column.low - width <= value <= column.high + width


def check_fill(schema: Schema, cfg: PreprocessingConfig) -> None:
    """Refuse a `fill_value` far from a column of numbers that may be missing. Raises ConfigError."""
    if cfg.numeric_imputation != "constant":
        return
    for column in schema.columns:
        has_holes = column.kind == "numeric" and column.may_be_missing
        if has_holes and not is_near(cfg.fill_value, column):
            raise ConfigError(
                f"preprocessing.fill_value={plain(cfg.fill_value)} is far from the values of {column.name}, "
                f"which the schema declares from {plain(float(column.low or 0))} to "
                f"{plain(float(column.high or 0))}: its missing cells would stand out. Use a value near, or "
                "preprocessing.numeric_imputation=median."
            )
