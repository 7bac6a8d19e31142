"""Where the values of a numeric column lie: a client's sorted values in cells of at least `minimum` rows.

A histogram of few bins tells nothing where the declared range is far wider than the values, and one
of small bins has small cells. So a client cuts its sorted values into groups of `minimum` rows (the
last holds up to twice as many), and tells of each group in which place its first and its last value
lie. Every row is in one cell, and every count that can be made of them is one of whole cells.

Places are told at several scales, each four times finer than the one before, modulo 256: the coarse
ones say where the values are, and the fine ones how they lie there. 2^28 places fit into 2,816 counts.

Not told are a site's least and greatest values: the first cell begins at the range's lower end and the
last one ends at the upper, and `open` counts their rows. Neither is a value told more finely than
a 128th of the site's standard deviation, unless the whole cell has that one value.
Shapes: N values, C cells, L scales, B places of a scale.

See docs/decisions/0031.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Cells = NDArray[np.int64]

FACTOR = 4  # how much finer each scale is than the one before
FINEST = 2**28  # places of the whole range at the finest scale
_BINS, _FEWER = (
    256,
    64,
)  # places of one scale, after which they repeat; and of a wide table's columns
_WIDE = 64  # columns of a table, above which each is told more coarsely: else the sums get too long
_FINENESS = 128  # places within a site's standard deviation, in which single values are told


@dataclass(frozen=True)
class Groups:
    """The cells of one client, in order; `first` and `last` [C] are places, 0 … FINEST − 1."""

    first: Cells
    last: Cells
    rows: Cells
    open: tuple[int, int]  # rows of cells whose least, or greatest, value is not told


def shape(columns: int) -> tuple[int, int, int]:
    """[2, L, B], the counts of one of so many columns: where cells begin, and where they end."""
    bins = _BINS if columns <= _WIDE else _FEWER
    return 2, 1 + ((FINEST // bins).bit_length() - 1) // 2, bins


def group(values: Values, bounds: tuple[float, float], minimum: int) -> Groups:
    """The cells of values [N] within `bounds`; none where there are fewer than `minimum`."""
    count = len(values) // minimum
    if count == 0:
        empty = np.zeros(0, dtype=np.int64)
        return Groups(empty, empty, empty, (0, 0))
    low, high = bounds
    ordered = np.sort(values)
    starts = np.arange(count) * minimum
    ends = np.append(starts[1:], len(values)) - 1
    is_one = ordered[starts] == ordered[ends]
    places = np.floor((ordered - low) / (high - low) * FINEST)
    places = np.clip(places, 0, FINEST - 1).astype(np.int64)
    grain = _grain(ordered, high - low)
    first = np.where(is_one, places[starts], places[starts] // grain * grain)
    last = np.where(is_one, places[ends], places[ends] // grain * grain + grain - 1)
    rows = ends - starts + 1
    below, above = (0 if is_one[end] else int(rows[end]) for end in (0, -1))
    if below:
        first[0] = 0
    if above:
        last[-1] = FINEST - 1
    return Groups(first, last, rows, (below, above))


def _grain(values: Values, width: float) -> int:
    """How many of the finest places are told as one: a power of two, at least 1."""
    places = float(values.std()) / width * FINEST / _FINENESS
    return 1 << min(28, max(0, int(np.floor(np.log2(places))))) if places >= 1 else 1


def tables(of: Groups, columns: int) -> Cells:
    """[2, L, B] rows by the place in which their cell begins, and in which it ends."""
    counts = np.zeros(shape(columns), dtype=np.int64)
    _, levels, bins = counts.shape
    for level in range(levels):
        finer = FACTOR ** (levels - 1 - level)
        for side, places in enumerate((of.first, of.last)):
            # Rows as float64 are exact below 2^53.
            counts[side, level] = np.bincount(places // finer % bins, of.rows, bins)
    return counts
