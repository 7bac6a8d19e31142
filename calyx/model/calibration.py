"""Calibration error from counts that add up over clients, so that it can be a secure sum.

Source: Guo, Pleiss, Sun, Weinberger, ICML 2017, arXiv:1706.04599, eq. 3.

Shapes: N rows, B bins of confidence.
"""

import numpy as np
from numpy.typing import NDArray

STEP = 2.0**-20  # of a confidence in the sums: 2^20 rows of confidence 1 stay below 2^40


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int
) -> NDArray[np.int64]:
    """Counts [3, B]: rows, correct ones, and the sum of confidences in steps of `STEP`.

    `confidence` [N] is the probability 0 … 1 of the class that was predicted, and `correct` [N]
    whether it was the true one. Bin i holds confidences in (i/B, (i+1)/B], bin 0 also 0. Raises
    ValueError for a confidence outside 0 … 1 or not finite, other lengths, or `bins` below 1.
    """
    if bins < 1:
        raise ValueError(f"there are {bins} bins, and must be one at least")
    if confidence.ndim != 1 or confidence.shape != correct.shape:
        raise ValueError(
            f"confidences of shape {confidence.shape} do not fit {correct.shape} answers"
        )
    exact = confidence.astype(np.float64)
    if not ((exact >= 0) & (exact <= 1)).all():
        raise ValueError("a confidence lies outside 0 … 1")
    # The edges themselves, not exact * bins: 0.7 * 10 is above 7.
    edges = np.arange(1, bins) / bins
    place = np.searchsorted(edges, exact, side="left")
    counts = np.zeros((3, bins), dtype=np.int64)
    steps = np.rint(exact / STEP).astype(np.int64)
    for row, values in enumerate((np.ones_like(steps), correct.astype(np.int64), steps)):
        np.add.at(counts[row], place, values)
    return counts


def coarsen(counts: NDArray[np.int64], least: int) -> tuple[NDArray[np.int64], int]:
    """Hide in counts [3, B] how sure a model was of the rows of small bins.

    In a bin of 1 … `least` - 1 rows each row counts with the confidence at the bin's middle: the sum
    over a single row would be a value of that row. Returns the counts, and how many rows that was.
    """
    told = counts.copy()
    rows, bins = counts[0], counts.shape[1]
    small = (rows > 0) & (rows < least)
    middle = np.rint((np.arange(bins) + 0.5) / bins / STEP).astype(np.int64)
    told[2, small] = middle[small] * rows[small]
    return told, int(rows[small].sum())


def margin(coarse: int, rows: int, bins: int) -> float:
    """How far the calibration error may be off where `coarse` of `rows` are in coarsened bins.

    A confidence is at most half a bin from its middle, so that Σ over bins of |correct − Σ confidence|
    moves by half a bin's width for each of them; and by half a step for each row.
    """
    return coarse / rows / (2 * bins) + STEP / 2


def expected_calibration_error(counts: NDArray[np.int64] | NDArray[np.float64]) -> float:
    """ECE in 0 … 1 of counts [3, B], which may be a sum over clients.

    Σ over bins of (rows / all rows) · |share of correct − mean confidence|. Raises ValueError
    without rows.
    """
    rows, correct, steps = counts
    if rows.sum() <= 0:
        raise ValueError("there are no rows to judge the calibration on")
    return float(np.abs(correct - steps * STEP).sum() / rows.sum())
