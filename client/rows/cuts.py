"""Where a row of blocks is cut in three, when no block may be torn. Pure.

Shapes: B blocks.

See docs/decisions/0040.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How far the sizes of the three pieces may be off, as shares of all rows: the root of their squares.
TOLERATED = 0.2
_EMPTY = 1.0  # added for an empty piece


@dataclass(frozen=True)
class Cuts:
    """Two places in a row of rows, and how far off the sizes of the three pieces are."""

    first: int
    second: int
    miss: float


def ends_of(place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where blocks begin and end [B + 1], in rows, when each row [N] is of the block in this place."""
    ends: NDArray[np.int64] = np.concatenate([[0], np.cumsum(np.bincount(place))])
    return ends


def nearest_cuts(ends: NDArray[np.int64], wanted: tuple[int, int], spare: int = 0) -> Cuts:
    """Of the blocks' `ends` [B + 1] the two at which the pieces are nearest to those `wanted`.

    These are the ends nearest to each of the two; but where a piece would be empty, or the sizes
    are missed by more than is tolerated, the best pair. The last piece, which trains, is never
    empty; where another must be, it is rather the one with the number `spare` (0 or 1).
    """
    nearest = np.array([ends[np.abs(ends - end).argmin()] for end in wanted])
    miss = float(_misses(nearest[:1], nearest[1:], ends, wanted)[0])
    if miss > TOLERATED:
        some = _candidates(ends, wanted)
        first, second = (at.reshape(-1) for at in np.meshgrid(some, some, indexing="ij"))
        misses = _misses(first, second, ends, wanted)
        kept = (first if spare else second - first) > 0
        best = np.lexsort((~kept, misses.round(9)))[0]
        nearest, miss = np.array([first[best], second[best]]), float(misses[best])
    return Cuts(int(nearest[0]), int(nearest[1]), miss)


def _candidates(ends: NDArray[np.int64], wanted: tuple[int, int]) -> NDArray[np.int64]:
    """The ends that may be best: about those wanted, and shares of what a large block leaves."""
    last, total = len(ends) - 1, int(ends[-1])
    before = ends[np.clip(np.searchsorted(ends, wanted)[:, None] + np.arange(-2, 3), 0, last)]
    left = before.reshape(-1)
    shares = [
        *wanted,
        *(left * (wanted[0] / max(wanted[1], 1))),  # of the two first pieces' rows
        *(left + (total - left) * ((wanted[1] - wanted[0]) / max(total - wanted[0], 1))),
    ]
    near = np.searchsorted(ends, shares)[:, None] + np.arange(-2, 3)
    candidates: NDArray[np.int64] = ends[np.unique(np.clip([*near.flat, 1, last - 1], 0, last))]
    return candidates


def _misses(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    ends: NDArray[np.int64],
    wanted: tuple[int, int],
) -> NDArray[np.float64]:
    """Of pairs of cuts; infinite where the last piece is empty, or the cuts are the wrong way round."""
    total = int(ends[-1])
    sizes = np.stack([first, second - first, total - second])
    targets = np.array([wanted[0], wanted[1] - wanted[0], total - wanted[1]])
    miss = np.sqrt(((sizes - targets[:, None]) ** 2).sum(axis=0)) / max(total, 1)
    miss += _EMPTY * ((sizes == 0) & (targets > 0)[:, None]).sum(axis=0)
    is_none = (sizes < 0).any(axis=0) | (sizes[2] == 0)
    return np.where(is_none, np.inf, miss)
