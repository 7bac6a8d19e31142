"""Small cells do not leave a client: what is counted of fewer rows than a minimum is hidden.

Where a total is known, hiding one cell would be in vain: the rest tells it. So the rows of all
hidden cells of a table are as many as the minimum, or none. Source: complementary suppression,
Hundepool et al. 2012, Statistical Disclosure Control, §4.2; here within one client's table.
"""

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.int64]


def suppress(cells: Cells, minimum: int) -> tuple[Cells, bool]:
    """`cells` [N] with small ones as 0, and whether any was hidden. `minimum` ≥ 1; 1 hides nothing."""
    hidden = (cells > 0) & (cells < minimum)
    if not hidden.any():
        return cells, False
    if cells[hidden].sum() < minimum:
        others = np.where(hidden | (cells == 0), np.iinfo(np.int64).max, cells)
        if others.min() < np.iinfo(np.int64).max:
            hidden = hidden.copy()
            hidden[others.argmin()] = True
    return np.where(hidden, 0, cells), True


def with_total(cells: Cells, total: int) -> Cells:
    """`cells` with the largest one changed so that they add up to `total`.

    A total that itself hides a few rows would tell them by comparison.
    """
    if len(cells) == 0 or cells.sum() == 0:
        return cells
    changed = cells.copy()
    changed[changed.argmax()] += total - cells.sum()
    return changed


def coarse(count: int, minimum: int) -> int:
    """`count` rounded to a multiple of `minimum`: what a share may be made of."""
    return round(count / minimum) * minimum
