"""Mean, deviation, quartiles and mode of many columns at once.

Each column's figures are those that it would have alone, to the last bit: sums are taken along a
column that lies in one piece.

Shapes: k columns, N values of each, of which n are there.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from calyx.preprocessing.config import PreprocessingConfig

Values = NDArray[np.float64]
NOISE = 2.0**-49  # of a value: eight steps of a float64, which another order of adding may change


def by_number(block: Values) -> Iterator[tuple[NDArray[np.int64], Values]]:
    """Columns of `block` [k, N] that have as many values, NaN being none: which, and these values [·, n]."""
    is_there = ~np.isnan(block)
    numbers = is_there.sum(axis=1)
    for number in np.unique(numbers):
        some = np.flatnonzero(numbers == number)
        yield some, block[some][is_there[some]].reshape(len(some), number)


def commonest(values: Values) -> tuple[Values, NDArray[np.bool_]]:
    """The most frequent of the values [k, n > 0] of each column, and whether no other is as frequent.

    Of equally frequent ones it is the least.
    """
    ordered = np.sort(values, axis=1)
    begins = np.ones(ordered.shape, dtype=np.bool_)  # a run of equal values
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.flatnonzero(begins)
    lengths = np.diff(first, append=begins.size)
    column = first // values.shape[1]
    of_column = np.flatnonzero(np.diff(column, prepend=-1))  # the first run of each
    is_longest = lengths == np.maximum.reduceat(lengths, of_column)[column]
    at, begin = np.unique(column[is_longest], return_index=True)
    number = np.bincount(column[is_longest], minlength=len(at))
    return ordered.reshape(-1)[first[is_longest][begin]], number == 1


def bounds(present: Values, cfg: PreprocessingConfig) -> tuple[Values, Values]:
    """`outlier_bounds` [k] of the values [k, n] that there are."""
    low, high = np.full(len(present), -np.inf), np.full(len(present), np.inf)
    if cfg.outliers != "keep" and present.shape[1]:
        quartiles = np.quantile(present, [0.25, 0.75], axis=1)
        for i, (first, third) in enumerate(quartiles.T.tolist()):
            low[i], high[i] = outlier_bounds(first, third, 0.0, cfg)
    return low, high


def clip(values: Values, low: Values, high: Values) -> Values:
    """The values, cut to their bounds, which broadcast to their shape.

    As `np.clip` does by two numbers: by arrays it turns a -0 at a bound of 0 into 0.
    """
    return np.where(values < low, low, np.where(values > high, high, values))


def outlier_bounds(
    first: float, third: float, off: float, cfg: PreprocessingConfig
) -> tuple[float, float]:
    """Quartiles ± iqr_factor · IQR; `off` ≥ 0 is how far both quartiles together may be off.

    Where the quartiles are equal most rows have one value, and any other would count as an
    outlier: such a column is not bounded. Nor is one whose quartiles differ by less than twice of
    what they may be off: a difference made of that alone would cut what is sound.
    """
    width = third - first
    if cfg.outliers == "keep" or width <= 0 or width < 2 * off:
        return -np.inf, np.inf
    reach = cfg.iqr_factor * width
    return first - reach, third + reach


def moments(values: Values) -> tuple[Values, Values]:
    """Mean and population deviation [k] of the values [k, N > 0], NaN left out; of a constant it is 0.

    As scikit-learn's StandardScaler has them, which takes for a constant what it cannot tell from one
    with N · 2^-52 of the mean: four thousand times of the second in nanoseconds that differ by
    thousands. Those are centred first. Both are NaN where there is no value.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the update tells of it
        mean, scale = _standardise(values)
        doubtful = np.flatnonzero(scale == 1.0)
        if not len(doubtful):
            return mean, scale
        some = values[doubtful]
        least, greatest = np.fmin.reduce(some, axis=1), np.fmax.reduce(some, axis=1)
        is_constant = greatest - least <= NOISE * np.maximum(np.abs(least), np.abs(greatest))
        scale[doubtful[is_constant]] = 0.0
        again = doubtful[~is_constant]
        if len(again):
            shift, scale[again] = _standardise(some[~is_constant] - least[~is_constant][:, None])
            mean[again] = least[~is_constant] + shift
        return mean, scale


def _standardise(values: Values) -> tuple[Values, Values]:
    """Mean and deviation [k]; that is 1 where it cannot be told from 0.

    Source: Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance: the two passes
    with a correction, and what they may be off.
    """
    is_hole = np.isnan(values)
    number = values.shape[1] - is_hole.sum(axis=1, dtype=np.float64)
    mean = np.where(is_hole, 0.0, values).sum(axis=1) / number + 0.0
    off = np.where(is_hole, 0.0, values - mean[:, None])
    correction = off.sum(axis=1)
    variance = ((off**2).sum(axis=1) - correction**2 / number) / number
    eps = np.finfo(np.float64).eps
    is_none = variance <= number * eps * variance + (number * mean * eps) ** 2
    return mean, np.where(is_none, 1.0, np.sqrt(variance))
