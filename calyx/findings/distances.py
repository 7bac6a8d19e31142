"""How far apart two binned distributions are: PSI, Kolmogorov-Smirnov, chi-square.

Pure functions over whole stacks of columns. They take counts and know no thresholds: what is an
alert is said in `drift`.

Shapes: … any leading axes (columns; windows and columns), B cells. Counts are whole numbers ≥ 0 of
any dtype, or the fractional ones of `fill_hidden`. A cell that is empty on both sides plays no
part.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

LEAST = 5.0  # rows expected in a cell, below which chi-square's p-value cannot be trusted
_SMALL = 0.5  # rows that an empty cell counts as in PSI
_STEPS = 64  # of the fixed point of `fill_hidden`, which moves monotonically


def psi(expected: Values, observed: Values) -> Values:
    """Population stability index […] ≥ 0: Σ (q − p) ln(q / p) over cells, in nats.

    A cell that is empty on one side only counts as half a row there; without that the index would
    be infinite. 0 where a side has no rows. It is symmetric. Under no change its mean is about
    (B − 1)(1/n + 1/m) and not 0. Source: Siddiqi 2006, Credit Risk Scorecards; Yurdakul 2018,
    Statistical Properties of Population Stability Index, for its distribution.
    """
    used = (expected + observed) > 0
    both = (expected.sum(-1) > 0) & (observed.sum(-1) > 0)
    sides = [np.where(used & (side == 0), _SMALL, side) for side in (expected, observed)]
    p, q = (_shares(side) for side in sides)
    logs = np.log(np.where(used, q, 1.0) / np.where(used & (p > 0), p, 1.0))
    return np.where(both, ((q - p) * np.where(used, logs, 0.0)).sum(-1), 0.0)


def ks(expected: Values, observed: Values) -> tuple[Values, Values]:
    """Kolmogorov-Smirnov's statistic […] in 0 … 1 over ordered cells, and its two-sample p-value.

    The p-value is the asymptotic one. Cells hide differences inside them, so that it is too large
    (safe) rather than too small. 0 and 1 where a side has no rows.
    """
    from scipy.special import kolmogorov

    n, m = expected.sum(-1), observed.sum(-1)
    both = (n > 0) & (m > 0)
    gaps = np.abs(np.cumsum(_shares(expected), -1) - np.cumsum(_shares(observed), -1))
    statistic = np.where(both, gaps.max(-1, initial=0.0), 0.0)
    size = np.where(both, n * m / np.where(both, n + m, 1.0), 0.0)
    return statistic, np.asarray(kolmogorov(np.sqrt(size) * statistic), dtype=np.float64)


def chi_square(expected: Values, observed: Values) -> tuple[Values, Values]:
    """Pearson's statistic […] of homogeneity of two samples, and its p-value.

    Cells in which either sample would be expected to have fewer than `LEAST` rows are pooled into
    one, and where that pool itself is so small, the smallest other cell joins it. The pool is
    chosen by both samples' total, so that the order of cells plays no part. 0 and 1 where fewer
    than two cells are left. Source: Pearson 1900; the rule of five is Cochran 1954.
    """
    from scipy.special import chdtrc

    e, o = _by_total(expected, observed)
    total = e + o
    rows = total.sum(-1, keepdims=True)
    ratios = [side.sum(-1, keepdims=True) / np.where(rows > 0, rows, 1.0) for side in (e, o)]
    least = np.minimum(*ratios)
    is_sparse = least * total < LEAST
    pooled = is_sparse.sum(-1)
    pool = np.where(is_sparse, total, 0.0).sum(-1)
    too_small = (pool > 0) & (least[..., 0] * pool < LEAST)
    in_pool = np.arange(total.shape[-1]) < (pooled + too_small)[..., None]
    statistic = np.zeros(total.shape[:-1])
    for side, ratio in zip((e, o), ratios, strict=True):
        off = (side - ratio * total) ** 2 / np.where(ratio * total > 0, ratio * total, 1.0)
        statistic += np.where(in_pool, 0.0, off).sum(-1)
        gathered, whole = (np.where(in_pool, part, 0.0).sum(-1) for part in (side, ratio * total))
        statistic += (gathered - whole) ** 2 / np.where(whole > 0, whole, 1.0)
    has_pool = np.where(in_pool, total, 0.0).sum(-1) > 0
    freedom = (~in_pool).sum(-1) + has_pool - 1
    is_test = freedom > 0
    p = chdtrc(np.where(is_test, freedom, 1), np.where(is_test, statistic, 0.0))
    return np.where(is_test, statistic, 0.0), np.where(is_test, p, 1.0)


def fill_hidden(
    expected: Values, observed: Values, unseen_before: int, unseen_now: int
) -> tuple[Values, Values]:
    """Counts [… B] of both sides as like each other as suppression leaves them room to be.

    `unseen_before` and `unseen_now` are the most rows of one cell that suppression may have kept back
    on a side. A cell that is behind the other side's share is raised towards it by at most so many rows: what
    may be hidden can then raise no alarm, and what is left of a difference is real. The shares
    are those of the filled counts, found by a fixed point.
    """
    e, o = expected.astype(np.float64), observed.astype(np.float64)
    if not unseen_before and not unseen_now:
        return e, o
    full_e, full_o = e, o
    for _ in range(_STEPS):
        n, m = full_e.sum(-1, keepdims=True), full_o.sum(-1, keepdims=True)
        scale = np.where(n > 0, m / np.where(n > 0, n, 1.0), 1.0)
        scale = np.where(scale > 0, scale, 1.0)
        full_o = np.clip(scale * e, o, o + unseen_now)
        full_e = np.clip(o / scale, e, e + unseen_before)
    return full_e, full_o


def _shares(counts: Values) -> Values:
    total = counts.sum(-1, keepdims=True)
    return np.asarray(counts / np.where(total > 0, total, 1.0), dtype=np.float64)


def _by_total(expected: Values, observed: Values) -> tuple[Values, Values]:
    """Both sides with their cells in the order of their totals; equal totals by what was observed."""
    order = np.lexsort((observed, expected + observed), axis=-1)
    return (
        np.take_along_axis(expected.astype(np.float64), order, -1),
        np.take_along_axis(observed.astype(np.float64), order, -1),
    )
