"""Real numbers as whole numbers of steps, which add up without rounding in any order.

A sum of floats on one fine grid is exact, so that a difference of two large sums (a variance) keeps
all its digits, and nothing needs a bound that some rows could exceed. Source: Kulisch 1971, the long
accumulator; Python's integers hold it.

Shapes: N numbers.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FLOAT_STEPS = 149  # 2^-149 is the least float32 above 0, and every float32 is a multiple of it
FLOAT_MAX = 1 << (FLOAT_STEPS + 129)  # steps: twice the greatest float32, so a difference fits
SQUARE_STEPS = 2 * FLOAT_STEPS  # of squares of such numbers
SQUARE_MAX = 1 << (SQUARE_STEPS + 258)
_HALF = 26  # bits of the lower half of a float64's 53


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
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    places, index = np.unique(exponents, return_inverse=True)
    high, low = (np.zeros(len(places), dtype=np.int64) for _ in range(2))
    np.add.at(high, index, whole >> _HALF)
    np.add.at(low, index, whole & ((1 << _HALF) - 1))
    total = Fraction(0)
    for place, upper, lower in zip(places.tolist(), high.tolist(), low.tolist(), strict=True):
        part = (upper << _HALF) + lower
        shift = place - 53 + bits
        total += part << shift if shift >= 0 else Fraction(part, 1 << -shift)
    return round(total)


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


def to_float(total: int, bits: int, over: int = 1) -> float:
    """`total` steps of 2^-`bits` divided by `over` > 0, rounded once; ±infinity beyond float64."""
    try:
        return float(Fraction(total, over << bits))
    except OverflowError:
        return float("inf") if total > 0 else float("-inf")


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
