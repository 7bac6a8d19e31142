"""A numeric column in two audits, in bins that follow the earlier one's values, whatever their range.

Both are known to bounds: at each edge so many rows lie below it at least, and at most. They are taken
to be as like each other as their bounds allow, so that what sites hid raises no alarm; where they
could as well be so different that it would be an alert, drift is unknown. Shapes: B bins, E edges.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.statistics.distribution import Distribution
from calyx.statistics.drift import Counts
from calyx.statistics.figures import VariableFigures
from calyx.statistics.places import Cells

Values = NDArray[np.float64]


def number_counts(
    before: VariableFigures, after: VariableFigures, bins: int
) -> tuple[Counts, Counts] | None:
    """Both columns' rows in the same cells. None where one of them shows no values."""
    if before.numbers is None or after.numbers is None:
        return None
    first, second = before.numbers.distribution, after.numbers.distribution
    if first is None or second is None:
        return None
    sides, edges = (first, second), _edges(first, bins)
    bounds = [_shares(of, edges) for of in sides]
    (low, high), (other_low, other_high) = bounds
    middle = (np.maximum(low, other_low) + np.minimum(high, other_high)) / 2
    is_sure = all((low == high).all() for low, high in bounds)
    # The farther side: all values of one audit as low, and of the other as high, as can be.
    is_up = (high - other_low).max(initial=0.0) > (other_high - low).max(initial=0.0)
    ends = (high, other_low) if is_up else (low, other_high)
    missing = _missing(before, after)
    found = []
    for of, (least, most), end, holes in zip(sides, bounds, ends, missing, strict=True):
        alike = _cells(np.clip(middle, least, most), of)
        found.append(Counts(alike, holes, most=None if is_sure else _cells(end, of)))
    return found[0], found[1]


def _cells(below: Values, of: Distribution) -> Cells:
    """[B] rows, from the shares [E] below each edge."""
    counts = np.rint(below * of.rows).astype(np.int64)
    return np.diff(np.concatenate([[0], counts, [of.rows]]))


def _edges(of: Distribution, bins: int) -> Values:
    """[E] edges above the quantiles of `of`: so a value that many rows have stands in a bin of its own."""
    edges: Values = np.unique([of.bounds(i / bins)[1] for i in range(1, bins)])
    inside: Values = edges[(edges > of.edges[0]) & (edges < of.edges[-1])]
    return inside


def _shares(of: Distribution, edges: Values) -> tuple[Values, Values]:
    """The least and the greatest share of rows below each edge."""
    counts = np.array([of.below(edge) for edge in edges], dtype=np.float64).reshape(-1, 2)
    return counts[:, 0] / of.rows, np.minimum(counts[:, 1] / of.rows, 1.0)


def _missing(before: VariableFigures, after: VariableFigures) -> tuple[int, int]:
    """Rows without a value, as like each other's share as rows that sites counted otherwise allow."""
    shares = [of.missing / max(1, of.rows) for of in (before, after)]
    found = []
    for of, other in zip((before, after), reversed(shares), strict=True):
        moved = of.numbers.moved if of.numbers else None
        joined, left = (moved.joined, moved.left) if moved else (0, 0)
        wanted = round(other * of.rows)
        found.append(min(max(wanted, of.missing - left), of.missing + joined))
    return max(0, found[0]), max(0, found[1])
