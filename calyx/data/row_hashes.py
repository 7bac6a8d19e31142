"""A number for each row, which equal rows share: repeats are counted by it, and digests are made of it.

Shapes: N rows, C columns.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_CELLS_AT_ONCE = 100_000  # a call of NumPy takes longer than a few cells do


def _words(*numbers: int) -> tuple[Hashes, ...]:
    """Arrays of no dimension: NumPy takes them up twice as fast as it does its own scalars."""
    return tuple(np.array(number, dtype=np.uint64) for number in numbers)


_ODD, _FIRST, _SECOND = _words(0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_30, _27, _31 = _words(30, 27, 31)


def hash_rows(x: NDArray[np.float64], y: NDArray[Any]) -> Hashes:
    """A number [N] for each row of `x` [N, C] with its label of `y` [N]: equal rows have equal ones.

    Others differ, but for one pair in 2^64: in ten million rows, a chance of three in a million.
    To sort whole rows instead takes several times as long. The mixing is splitmix64's. Source: Steele, Lea
    and Flood 2014, Fast splittable pseudorandom number generators.
    """
    total = np.zeros(len(y), dtype=np.uint64)
    rest = np.empty_like(total)
    add, multiply, shift, mix = np.add, np.multiply, np.right_shift, np.bitwise_xor
    for bits in _bits(x, y):  # of few rows the calls are all of the time: each writes where it may
        add(total, bits, total)
        mix(total, shift(total, _30, rest), total)
        multiply(total, _FIRST, total)
        mix(total, shift(total, _27, rest), total)
        multiply(total, _SECOND, total)
        mix(total, shift(total, _31, rest), total)
    return total


def _bits(x: NDArray[np.float64], y: NDArray[Any]) -> Iterator[Hashes]:
    """The cells [N] of each column and of the label as numbers, each made odd by a constant."""
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(y)))
    cells = x.T
    for block in (*(cells[i : i + at_once] for i in range(0, len(cells), at_once)), y[None]):
        # Adding zero makes -0 the same as 0, and all missing values are one.
        values = np.where(np.isnan(block), np.nan, block) + 0.0
        yield from np.ascontiguousarray(values).view(np.uint64) + _ODD
