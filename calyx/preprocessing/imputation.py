"""What a missing value becomes: of a number one that is typical, of a category the commonest or none.

See docs/decisions/0042-absence-is-no-category.md. Shapes: N rows that have a value.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.preprocessing.config import PreprocessingConfig
from calyx.tasks.base import Column

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
            return cfg.fill_value
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
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    return fill == cfg.fill_value or low <= fill <= high
