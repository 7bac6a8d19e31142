"""A numeric column in two audits, in bins that follow the earlier one's values, whatever their range.

Both are known to bounds: at each edge so many rows lie below it at least, and at most. They are taken
to be as like each other as their bounds allow, so that what sites hid raises no alarm; where the
bounds could hide a shift that would be an alert, drift is unknown. Shapes: B bins, E edges.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.statistics.distribution import Distribution
from calyx.statistics.drift import LIMITS, Counts
from calyx.statistics.figures import VariableFigures

Values = NDArray[np.float64]


def number_counts(
    before: VariableFigures, after: VariableFigures, bins: int
) -> tuple[Counts, Counts] | None:
    """Both columns' rows in the same cells. None where one of them shows no values."""
    if before.numbers is None or after.numbers is None:
        return None
    known = (before.numbers.distribution, after.numbers.distribution)
    if known[0] is None or known[1] is None:
        return None
    edges = _edges(known[0], bins)
    bounds = [_shares(of, edges) for of in (known[0], known[1])]
    (low, high), (other_low, other_high) = bounds
    middle = (np.maximum(low, other_low) + np.minimum(high, other_high)) / 2
    off = max(float((most - least).max(initial=0.0)) for least, most in bounds)
    why = f"of {off:.0%} of the rows it is not told on which side of a bin's edge they lie"
    unknown = why if off > LIMITS.ks[1] else ""
    missing = _missing(before, after)
    found = []
    for of, (least, most), holes in zip((known[0], known[1]), bounds, missing, strict=True):
        below = np.rint(np.clip(middle, least, most) * of.rows).astype(np.int64)
        cells = np.diff(np.concatenate([[0], below, [of.rows]]))
        found.append(Counts(cells, holes, unknown=unknown))
    return found[0], found[1]


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
