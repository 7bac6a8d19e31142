"""A number for each row, which equal rows share: repeats are counted by it, and digests are made of it.

Shapes: N rows, C columns.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_CELLS_AT_ONCE = 100_000  # a call of NumPy takes longer than a few cells do
_FEW = 16  # rows that Python's integers hash sooner
_ODD, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def hash_rows(x: NDArray[np.float64], y: NDArray[Any]) -> Hashes:
    """A number [N] for each row of `x` [N, C] with its label of `y` [N]: equal rows have equal ones.

    Others differ, but for one pair in 2^64: in ten million rows, a chance of three in a million.
    To sort whole rows instead takes several times as long. The mixing is splitmix64's. Source: Steele, Lea
    and Flood 2014, Fast splittable pseudorandom number generators.
    """
    return _hash_few(x, y) if len(y) <= _FEW else _hash_many(x, y)


def _hash_many(x: NDArray[np.float64], y: NDArray[Any]) -> Hashes:
    total = np.zeros(len(y), dtype=np.uint64)
    rest = np.empty_like(total)
    # Arrays without a dimension: NumPy takes them up twice as fast as its own scalars.
    first, second = np.array(_FIRST, np.uint64), np.array(_SECOND, np.uint64)
    by_30, by_27, by_31 = (np.array(places, np.uint64) for places in (30, 27, 31))
    add, multiply, shift, mix = np.add, np.multiply, np.right_shift, np.bitwise_xor
    for block in _bits(x, y):
        for bits in block:
            add(total, bits, total)
            mix(total, shift(total, by_30, rest), total)
            multiply(total, first, total)
            mix(total, shift(total, by_27, rest), total)
            multiply(total, second, total)
            mix(total, shift(total, by_31, rest), total)
    return total


def _hash_few(x: NDArray[np.float64], y: NDArray[Any]) -> Hashes:
    """The same with all rows in one integer, 128 bits each of which the lower half counts.

    A step is a dozen operations, and NumPy takes as long for one of them with one row as with fifty.
    """
    total, rows = 0, len(y)
    lower = int.from_bytes((b"\xff" * 8 + bytes(8)) * rows, "little")
    for block in _bits(x, y):
        wide = np.zeros((*block.shape, 2), dtype="<u8")
        wide[:, :, 0] = block
        for bits in wide:
            total = total + int.from_bytes(bits.tobytes(), "little") & lower
            total = ((total ^ total >> 30) & lower) * _FIRST & lower
            total = ((total ^ total >> 27) & lower) * _SECOND & lower
            total = (total ^ total >> 31) & lower
    words = np.frombuffer(total.to_bytes(16 * rows, "little"), dtype="<u8")
    return words[::2].astype(np.uint64)


def _bits(x: NDArray[np.float64], y: NDArray[Any]) -> Iterator[Hashes]:
    """The cells [·, N] of columns and then of the label as numbers, each made odd by a constant."""
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(y)))
    cells = x.T
    for block in (*(cells[i : i + at_once] for i in range(0, len(cells), at_once)), y[None]):
        # Adding zero makes -0 the same as 0, and all missing values are one.
        values = np.where(np.isnan(block), np.nan, block) + 0.0
        yield np.ascontiguousarray(values).view(np.uint64) + np.uint64(_ODD)
