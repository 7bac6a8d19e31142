"""Sums of a regression's target by group: the rows with a hole, and those of each category.

A site tells them of a variable where none of its rows is hidden and no target lies outside its reach:
else the difference of two counts would be a small number of rows. Shapes: N rows, J categories, V
variables.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.survey.blocks import Cells
from calyx.survey.moments import Bounds, power_sums

Values = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]
FEW = 12  # different values of a target, up to which its sums tell how often each stands


def target_sums(y: Values, groups: Cells, of: tuple[int, Bounds]) -> Arrays:
    """Of a target y [N] its rows, Σ and Σ of squares, as they are told, by `groups` [N].

    0 is missing, 1 … J are the categories, J + 1 is what is none of them, and a row of -1 is in no
    sum. `of` is J, and the target's bounds.
    """
    count, bounds = of
    lines = []
    for group in range(count + 2):
        values = y[groups == group]
        lines.append([len(values), *power_sums(values, bounds)])
    table = np.array(lines, dtype=object)
    return {
        "target_whole": table.sum(axis=0),
        "target_missing": table[0],
        "target_category": table[1 : count + 1].reshape(-1),
    }


def is_safe(y: Values, bounds: Bounds) -> bool:
    """Whether sums of a target [N] tell no counts of rows: it is within its bounds, and of many values."""
    is_inside = bool((y >= bounds[0]).all() and (y <= bounds[1]).all())
    return len(y) > 0 and is_inside and len(np.unique(y)) > FEW
