"""A numeric column in two audits, in bins that follow the earlier one's values, whatever their range.

Both are known to bounds: at each edge so many rows lie below it at least, and at most. They are taken
to be as like each other as their bounds allow, so that what sites hid raises no alarm; where they
could as well be so different that it would be an alert, drift is unknown.

To be alike at each edge by itself is not enough: where bounds jump from edge to edge, as those of few
rows do, rows would be heaped up in the bins between, and unchanged values would seem to have moved.
Shapes: B bins, E edges.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.findings.distribution import Distribution
from calyx.findings.drift import Counts
from calyx.findings.figures import VariableFigures
from calyx.survey.places import Cells

Values = NDArray[np.float64]
_ROUNDS = 4  # in which both sides are drawn to each other; more of them change nothing to speak of
_LEAST = 1e-12  # share of rows of a bin that has none, so that its two edges differ


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
    is_sure = all((low == high).all() for low, high in bounds)
    # The farther side: all values of one audit as low, and of the other as high, as can be.
    is_up = (high - other_low).max(initial=0.0) > (other_high - low).max(initial=0.0)
    ends = (high, other_low) if is_up else (low, other_high)
    missing = _missing(before, after)
    both = []
    for of, shares, end, holes in zip(sides, alike(*bounds), ends, missing, strict=True):
        both.append(Counts(_cells(shares, of), holes, most=None if is_sure else _cells(end, of)))
    return both[0], both[1]


def alike(first: tuple[Values, Values], second: tuple[Values, Values]) -> tuple[Values, Values]:
    """Shares [E] below each edge of both sides, as like each other as their bounds [E] allow.

    In turns, each side is drawn to the other, which makes PSI, KS and chi-square smaller.
    """
    one = np.add(*first) / 2
    for _ in range(_ROUNDS):
        other = taut(one, second)
        one = taut(other, first)
    return one, other


def taut(toward: Values, bounds: tuple[Values, Values]) -> Values:
    """The shares [E] within `bounds` that are most like those of `toward` [E]; all of them ascend.

    Drawn over `toward`, they are a string that is pulled tight between the bounds: it has the
    least Σ p·φ(q/p) over bins for every convex φ, PSI's and chi-square's among them, and the
    least greatest distance. Source: Davies and Kovac 2001, Local Extremes, Runs, Strings and
    Multiresolution, §2.
    """
    x = np.r_[0.0, toward, 1.0] + _LEAST * np.arange(len(toward) + 2)
    low, high = (np.r_[0.0, side, 1.0] for side in bounds)
    places, heights = [0], [0.0]
    while places[-1] < len(x) - 1:
        place, height = _bend(x, low, high, (places[-1], heights[-1]))
        places.append(place)
        heights.append(height)
    return np.asarray(np.interp(x, x[places], heights)[1:-1])


def _bend(x: Values, low: Values, high: Values, start: tuple[int, float]) -> tuple[int, float]:
    """Where the string from `start`, a place and a height, first bends, or the end."""
    place, height = start
    width = x[place + 1 :] - x[place]
    lower, upper = (low[place + 1 :] - height) / width, (high[place + 1 :] - height) / width
    steepest, flattest = np.maximum.accumulate(lower), np.minimum.accumulate(upper)
    crossing = np.flatnonzero(steepest > flattest)
    if not len(crossing):
        return len(x) - 1, float(high[-1])
    at = int(crossing[0])
    if lower[at] > flattest[at]:  # it has to rise by then: it bends at the upper bound before
        bend = place + 1 + int(upper[:at].argmin())
        return bend, float(high[bend])
    bend = place + 1 + int(lower[:at].argmax())
    return bend, float(low[bend])


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
    missing_rows = []
    for of, other in zip((before, after), reversed(shares), strict=True):
        moved = of.numbers.moved if of.numbers else None
        joined, left = (moved.joined, moved.left) if moved else (0, 0)
        wanted = round(other * of.rows)
        missing_rows.append(min(max(wanted, of.missing - left), of.missing + joined))
    return max(0, missing_rows[0]), max(0, missing_rows[1])
