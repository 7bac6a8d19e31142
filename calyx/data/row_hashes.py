"""A number for each row, which equal rows share: repeats are counted by it, and digests are made of it.

Shapes: N rows, C columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_CELLS_AT_ONCE = 2**15  # they stay in a processor's cache
# Of splitmix64, as arrays without a dimension: NumPy takes them up twice as fast as its own scalars.
_GOLDEN, _FIRST, _SECOND = (
    np.array(number, np.uint64)
    for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_BY_30, _BY_27, _BY_31 = (np.array(places, np.uint64) for places in (30, 27, 31))


def hash_rows(x: NDArray[np.float64], y: NDArray[Any]) -> Hashes:
    """A number [N] for each row of `x` [N, C] with its label of `y` [N]: equal rows have equal ones.

    It is the sum over the cells of splitmix64 of a cell's bits and its column's own constant. The mixing
    is one to one, so that rows which differ in a single cell never share a number; others do once in 2^64
    pairs: in ten million rows, a chance of three in a million. To sort whole rows instead takes several
    times as long. Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators.
    """
    rows, columns = x.shape
    at_once = max(1, _CELLS_AT_ONCE // max(1, rows))
    total = _mix(np.asarray(y, dtype=np.float64)[:, None], columns)
    for first in range(0, columns, at_once):
        total += _mix(x[:, first : first + at_once], first)
    return total


def _mix(cells: NDArray[np.float64], first: int) -> Hashes:
    """The sum [N] of the mixed cells [N, c] of columns, of which the first has the number `first`."""
    # Adding zero makes -0 the same as 0, and all missing values are one.
    bits = (np.where(np.isnan(cells), np.nan, cells) + 0.0).view(np.uint64)
    bits += np.arange(first + 1, first + 1 + cells.shape[1], dtype=np.uint64) * _GOLDEN
    rest = np.right_shift(bits, _BY_30)
    bits ^= rest
    bits *= _FIRST
    bits ^= np.right_shift(bits, _BY_27, rest)
    bits *= _SECOND
    bits ^= np.right_shift(bits, _BY_31, rest)
    mixed: Hashes = bits.sum(axis=1, dtype=np.uint64)
    return mixed
