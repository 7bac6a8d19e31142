"""Real numbers as whole numbers of steps, which add up without rounding in any order.

A sum of floats on one fine grid is exact, so that a difference of two large sums (a variance) keeps
all its digits, and nothing needs a bound that some rows could exceed. Source: Kulisch 1971, the long
accumulator; Python's integers hold it.

Shapes: N numbers.

See docs/decisions/0036.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FLOAT_STEPS = 149  # 2^-149 is the least float32 above 0, and every float32 is a multiple of it
FLOAT_MAX = 1 << (FLOAT_STEPS + 129)  # steps: twice the greatest float32, so a difference fits
SQUARE_STEPS = 2 * FLOAT_STEPS  # of squares of such numbers
SQUARE_MAX = 1 << (SQUARE_STEPS + 258)
_FEW = 256  # numbers that Python adds up sooner than NumPy finds their exponents
_HALF = 26  # bits of the lower half of a float64's 53
TOLD = 40  # bits of a sum, or of a standard deviation, to which one client's sums are told


def steps(value: float | Fraction, bits: int) -> int:
    """`value` in steps of 2^-`bits`, rounded once, half to even.

    Raises ValueError for NaN or infinity.
    """
    try:
        return round(Fraction(value) * (1 << bits))
    except (OverflowError, ValueError):
        raise ValueError("a number that is not finite has no place in a sum") from None


def exact_sum(values: Values, bits: int) -> int:
    """Σ of float64 [N] in steps of 2^-`bits`; exact but for one rounding of what is finer than a step.

    N < 2^36. Raises ValueError for NaN or infinity.
    """
    if not np.isfinite(values).all():
        raise ValueError("a number that is not finite has no place in a sum")
    if len(values) <= _FEW:
        return _sum_few(values.tolist(), bits)
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    places, index = np.unique(exponents, return_inverse=True)
    high, low = (np.zeros(len(places), dtype=np.int64) for _ in range(2))
    np.add.at(high, index, whole >> _HALF)
    np.add.at(low, index, whole & ((1 << _HALF) - 1))
    total, least = 0, int(places.min(initial=0))
    for place, upper, lower in zip(places.tolist(), high.tolist(), low.tolist(), strict=True):
        total += (upper << _HALF) + lower << place - least
    shift = least - 53 + bits
    return total << shift if shift >= 0 else round(Fraction(total, 1 << -shift))


def _sum_few(values: list[float], bits: int) -> int:
    total, finer = 0, Fraction(0)
    for value in values:
        numerator, denominator = value.as_integer_ratio()
        shift = bits - (denominator.bit_length() - 1)  # it is a power of two
        if shift >= 0:
            total += numerator << shift
        else:
            finer += Fraction(numerator, 1 << -shift)
    return round(total + finer) if finer else total


def squares(values: Values) -> tuple[Values, Values]:
    """The squares of float64 [N] as two summands each, which together are exact.

    |x| < 2^500. Source: Dekker 1971, A floating-point technique for extending the available precision.
    """
    product = values * values
    upper, lower = _halves(values)
    rest = ((upper * upper - product) + 2 * upper * lower) + lower * lower
    return product, rest


def exact_square_sum(values: Values, bits: int) -> int:
    """Σ of the squares of float64 [N], as `exact_sum` gives it."""
    product, rest = squares(values)
    return exact_sum(np.concatenate([product, rest]), bits)


@dataclass(frozen=True)
class Scatter:
    """Σ of n numbers in steps, and Σ of their squared distances from the mean, to the digits that are told.

    Floats of decimals differ from them by a rounding that tells each decimal from all others, so
    that exact sums could be solved for the numbers themselves. So a mean is told to 2^-40 of the
    standard deviation, and the scatter to 40 bits, rounded upwards. Equal numbers stay as they are.
    """

    count: int
    total: int
    scatter: int

    @property
    def sums(self) -> tuple[int, int]:
        """Σ and Σ of the squares; their variance is never negative, and adds up over clients."""
        if self.count == 0:
            return 0, 0
        return self.total, -(-(self.total**2) // self.count) + self.scatter

    def with_other(self, other: "Scatter", scatter: int) -> int:
        """Σ of the products with `other` numbers, whose common scatter is `scatter`, told as above.

        Rounded towards 0, so that no correlation is above 1.
        """
        most = math.isqrt(self.scatter * other.scatter)
        size = told(min(abs(scatter), most), is_up=False, of=most)
        product = round(Fraction(self.total * other.total, max(1, self.count)))
        return product + (size if scatter > 0 else -size)


def scatter_of(count: int, total: int, square: int) -> Scatter:
    """What is told of `count` numbers with these exact sums, in steps and in steps of squares."""
    if count == 0:
        return Scatter(0, 0, 0)
    scatter = max(0, square - -(-(total**2) // count))
    if scatter < count:  # of less than a step: equal numbers
        return Scatter(count, total, 0)
    total = round_to(Fraction(total), math.isqrt(count * scatter))
    return Scatter(count, total, told(scatter, is_up=True))


def round_to(total: Fraction, size: int) -> int:
    """`total`, rounded to a power of two that is 2^-40 of `size` or less, and 1 at least."""
    grain = max(0, size.bit_length() - 1 - TOLD)
    return round(total / (1 << grain)) << grain


def told(total: int, *, is_up: bool, of: int | None = None) -> int:
    """A sum ≥ 0 of which only the first 40 bits are told, or so many `of` a greater number.

    Rounded upwards or downwards.
    """
    grain = max(0, (total if of is None else of).bit_length() - TOLD)
    return -(-total >> grain) << grain if is_up else total >> grain << grain


def root(numerator: int, denominator: int) -> float:
    """The square root of a ratio that is not negative, for integers that no float64 holds."""
    places = 2 * max(0, 64 - (numerator.bit_length() - denominator.bit_length()) // 2)
    return float(Fraction(math.isqrt((numerator << places) // denominator), 1 << places // 2))


def to_cell(value: int) -> tuple[int, int]:
    """A signed number as two that are not negative: its positive and its negative part."""
    return max(0, value), max(0, -value)


def exact_product_sum(left: Values, right: Values, bits: int) -> int:
    """Σ of the products of float64 [N] with [N], as `exact_sum` gives it; |x| < 2^500. Dekker 1971."""
    product = left * right
    (a, b), (c, d) = _halves(left), _halves(right)
    rest = ((a * c - product) + a * d + b * c) + b * d
    return exact_sum(np.concatenate([product, rest]), bits)


def _halves(values: Values) -> tuple[Values, Values]:
    split = values * (2.0**27 + 1)
    upper = split - (split - values)
    return upper, values - upper
