"""Whether two settings differ by more than their seeds do by themselves. Pure.

Where they share seeds, the differences of each seed are what varies (a paired t-test: Student 1908;
for learning algorithms Dietterich 1998, Neural Computation 10, section 3.3): what makes a seed
easy for both cancels. Where they share none, Welch's test (1947, Biometrika 34).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

FEWEST = 3  # repetitions of each; with fewer there is no saying
LEVEL = 0.95
_ROUNDING = 1e-12  # relative: differences that vary by less are all the same


@dataclass(frozen=True)
class Difference:
    """How far the first is above the second, over `num_seeds` of each, and what chance does.

    `margin` is half the width of the 95 % interval; None if nothing varies, so that it is unknown.
    """

    ahead: float
    num_seeds: int
    margin: float | None
    is_paired: bool


def difference(one: Mapping[str, float], other: Mapping[str, float]) -> Difference:
    """Compare two settings' figures, seed → value; over the seeds that both have, if there are any.

    Raises ValueError if one of them is empty.
    """
    shared = sorted(one.keys() & other.keys())
    if not shared:
        left, right = list(one.values()), list(other.values())
        fewest = min(len(left), len(right))
        return Difference(mean(left) - mean(right), fewest, _welch(left, right), is_paired=False)
    left, right = [one[s] for s in shared], [other[s] for s in shared]
    gaps = [a - b for a, b in zip(left, right, strict=True)]
    paired = _paired(gaps, max(map(abs, [*left, *right])))
    # Differences that are all alike tell nothing of chance; what the seeds do to each still does.
    margin = _welch(left, right) if paired is None else paired
    return Difference(mean(left) - mean(right), len(shared), margin, is_paired=paired is not None)


def _paired(gaps: Sequence[float], size: float) -> float | None:
    if len(gaps) < 2 or stdev(gaps) <= _ROUNDING * size:
        return None
    return _quantile(len(gaps) - 1) * stdev(gaps) / math.sqrt(len(gaps))


def _welch(left: Sequence[float], right: Sequence[float]) -> float | None:
    if min(len(left), len(right)) < 2:
        return None
    squares = [(stdev(one) ** 2 / len(one), len(one) - 1) for one in (left, right)]
    error = sum(square for square, _ in squares)
    if math.sqrt(error) <= _ROUNDING * max(map(abs, [*left, *right])):
        return None
    freedom = error**2 / sum(square**2 / degrees for square, degrees in squares)
    return _quantile(freedom) * math.sqrt(error)


def _quantile(freedom: float) -> float:
    from scipy.stats import t  # late: SciPy takes half a second

    return float(t.ppf(0.5 + LEVEL / 2, freedom))
