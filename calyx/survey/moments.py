"""Sums of a numeric column's values and of their squares: a client's, and what all sites' say.

Values are taken above the lower end of their declared range, in units of a power of two that is not
smaller than the range: then sums are never negative, and steps of 2^-128 (2^-256 of squares) keep
every digit of a column whose range is a million times too wide. A site tells twelve digits of its own
deviation (`calyx.vector.exact.Scatter`), and sums of these have no error but what sites changed to protect
small cells; how far that may reach is their margin.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from calyx.errors import CalyxError
from calyx.vector.contribution import COUNT_MAX
from calyx.vector.exact import (
    Scatter,
    exact_product_sum,
    exact_square_sum,
    exact_sum,
    root,
    scatter_of,
    steps,
)

Values = NDArray[np.float64]
Bounds = tuple[float, float]

STEPS = 128  # bits: a sum is in steps of 2^-128 of its unit, a sum of squares of 2^-256
SUM_MAX = COUNT_MAX << (STEPS + 2)  # of one client; a range is at most two units wide
SQUARE_MAX = COUNT_MAX << (2 * STEPS + 4)
_PART = 2**20  # values
SHARES = 24  # places of `Moved.share`: 4, 2√2, 2, … down to 0.0014


def unit(bounds: Bounds) -> int:
    """The exponent of the power of two that a column's sums are in units of."""
    low, high = bounds
    return int(np.frexp(max(abs(low), abs(high)))[1])


def power_sums(values: Values, bounds: Bounds) -> tuple[int, int]:
    """Σ(x − low) and Σ(x − low)² of values [N] within `bounds`, in steps, as they are told."""
    return _above_low(values, bounds).sums


def product_sums(x: Values, t: Values, of: tuple[Bounds, Bounds]) -> tuple[int, int, int, int, int]:
    """Σx, Σt, Σx², Σt² and Σxt of [N] and [N], each above its own lower end `of` its bounds, as told."""
    first, second = _above_low(x, of[0]), _above_low(t, of[1])
    (a, aa), (b, bb) = first.sums, second.sums
    scaled = [_scale(v, bounds) for v, bounds in zip((x, t), of, strict=True)]
    pairs = zip(*(_parts(v) for v in scaled), strict=True)
    product = sum(exact_product_sum(left, right, 2 * STEPS) for left, right in pairs)
    sums = [sum(exact_sum(part, STEPS) for part in _parts(v)) for v in scaled]
    scatter = product - round(Fraction(sums[0] * sums[1], max(1, len(x))))
    return a, b, aa, bb, first.with_other(second, scatter)


def _above_low(values: Values, bounds: Bounds) -> Scatter:
    total, square, low = 0, 0, _low(bounds)
    for part in _parts(_scale(values, bounds)):
        total += exact_sum(part, STEPS)
        square += exact_square_sum(part, 2 * STEPS)
    scatter = scatter_of(len(values), total, square)
    return replace(scatter, total=max(0, scatter.total - len(values) * low))


def _low(bounds: Bounds) -> int:
    return steps(float(np.ldexp(bounds[0], -unit(bounds))), STEPS)


def _scale(values: Values, bounds: Bounds) -> Values:
    return np.asarray(np.ldexp(values, -unit(bounds)))


def _parts(values: Values) -> Iterator[Values]:
    """Pieces of [N], so that millions of rows need no more memory than one piece."""
    return (values[i : i + _PART] for i in range(0, len(values), _PART))


@dataclass(frozen=True)
class Moved:
    """Rows that sites counted otherwise, so that no small number of them is told; upper bounds."""

    joined: int = 0  # count among the values although they have none in the range
    share: float = 0.0  # Σ over them of (x − c)² is at most this share of that of the real values
    # The greatest share of any site: sites say in which of SHARES places theirs is, and not which.
    left: int = 0  # have a value in the range and do not count
    changed: int = 0  # count with another value
    change: float = 0.0  # Σ of the squares of the changes

    @property
    def is_any(self) -> bool:
        """Whether any row may have been."""
        return bool(self.joined or self.left or self.changed)


def share_place(share: float) -> NDArray[np.int64]:
    """[SHARES] 1 in the place of the least bound that holds `share`; zeros for none."""
    bounds = share_bounds()
    place = np.zeros(SHARES, dtype=np.int64)
    if share > 0:
        place[max(0, int((bounds >= share).sum()) - 1)] = 1
    return place


def share_bounds() -> Values:
    """[SHARES] descending."""
    return np.asarray(4.0 * 2.0 ** (-np.arange(SHARES) / 2))


@dataclass(frozen=True)
class Moments:
    """Count, mean and standard deviation (of the population) of all sites' values, with margins."""

    count: int
    mean: float
    sd: float
    mean_margin: float
    sd_margin: float


def read_moments(
    count: int, total: int, square: int, bounds: Bounds, moved: Moved
) -> Moments | None:
    """What sums over all sites say; None where there are no values.

    Raises CalyxError for sums that no values have.
    """
    if count == 0:
        return None
    variance = count * square - total**2
    low, high = bounds
    if variance < 0 or total > count << (STEPS + 1):
        raise CalyxError(f"the sums of a column of {low:g} … {high:g} are none of its values")
    size = Fraction(2) ** unit(bounds)
    mean = float(Fraction(low) + size * Fraction(total, count << STEPS))
    sd = root(variance, count**2 << (2 * STEPS)) * float(size)
    if not moved.is_any:
        return Moments(count, mean, sd, 0.0, 0.0)
    return Moments(count, mean, sd, *_margins(count, mean, sd, bounds, moved))


def _margins(
    count: int, mean: float, sd: float, bounds: Bounds, moved: Moved
) -> tuple[float, float]:
    """How far the real mean and deviation may be from those of the rows as they were counted.

    Joined rows are of their site's middle, so that they have at most `share` of the others' squares
    about any centre. Cauchy and Schwarz: k of them move a sum by at most √(k · Σd²).
    """
    low, high = bounds
    real = count - moved.joined
    if real <= 0:
        return float("inf"), float("inf")
    squares = count * sd**2
    joined = squares * moved.share / (1 + moved.share)
    off = (moved.joined * joined) ** 0.5 / real
    least = max(0.0, squares / (1 + moved.share) / real - off**2) ** 0.5
    most = (squares / real) ** 0.5
    off += (moved.changed * moved.change) ** 0.5 / real
    least -= (moved.change / real) ** 0.5
    most += (moved.change / real) ** 0.5
    if moved.left:
        reach = max(high - mean, mean - low)
        off += moved.left * reach / (real + moved.left)
        least *= (real / (real + moved.left)) ** 0.5
        most = (most**2 + moved.left * (high - low) ** 2 / (real + moved.left)) ** 0.5
    return off, max(most - sd, sd - max(least, 0.0))
