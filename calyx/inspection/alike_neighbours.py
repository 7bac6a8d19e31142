"""Rows that are alike because they stand beside each other: a sensor's minutes, a machine's days.

Shapes: N rows in the order of their file, C columns of numbers.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema, Table, present_values

_FEWEST_ROWS, _FEWEST_COLUMNS, _FEWEST_VALUES = 40, 2, 10
_MOST_MISSING = 0.05  # of a column's values
_ALIKE = 0.3  # von Neumann's ratio: 1 where rows stand in any order, 0 where they hardly change
_BANDS = 10  # of a number that is predicted


def alike_neighbours(table: Table, schema: Schema) -> float | None:
    """The median over columns of von Neumann's ratio, where it says that order matters; else None.

    That is half the mean square of the step from row to row, as a share of the variance. Both are
    about the mean of each class, so that a file sorted by class tells nothing. Source: von Neumann,
    Annals of Mathematical Statistics 1941.
    """
    if len(table) < _FEWEST_ROWS:
        return None
    group = _group(table, schema)
    ratios = []
    for i, column in enumerate(schema.columns):
        present = present_values(table.x[:, i], column)
        is_whole = len(present) >= (1 - _MOST_MISSING) * len(table)
        if column.kind == "numeric" and is_whole and len(np.unique(present)) > _FEWEST_VALUES:
            values = table.x[:, i]
            known = np.isfinite(values) & ~np.isin(values, column.missing_codes)
            ratios.append(_ratio(values[known], group[known]))
    told = float(np.median(ratios)) if len(ratios) >= _FEWEST_COLUMNS else 1.0
    return told if told < _ALIKE else None


def _group(table: Table, schema: Schema) -> NDArray[np.int64]:
    if schema.target is None:
        return table.y.astype(np.int64)
    ends = np.quantile(table.y, np.arange(1, _BANDS) / _BANDS)
    return np.searchsorted(ends, table.y).astype(np.int64)


def _ratio(values: NDArray[np.float64], group: NDArray[np.int64]) -> float:
    _, place, counts = np.unique(group, return_inverse=True, return_counts=True)
    rest = values - (np.bincount(place, weights=values) / counts)[place]
    total = float((rest**2).sum())
    return float((np.diff(rest) ** 2).sum()) / (2 * total) if total > 0 else 1.0
