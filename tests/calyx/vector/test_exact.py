from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calyx.vector.exact import (
    FLOAT_STEPS,
    SQUARE_STEPS,
    exact_product_sum,
    exact_square_sum,
    exact_sum,
    root,
    squares,
    steps,
)

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
NUMBERS = arrays(np.float32, st.integers(0, 20), elements=FLOATS)


@pytest.mark.parametrize("times", [1, 301])  # few numbers, and many
@given(arrays(np.float64, st.integers(0, 20), elements=st.floats(-1e60, 1e60)))
def test_a_sum_is_the_sum_of_fractions_rounded_once(times, values):
    wanted = sum(map(Fraction, values.tolist()), Fraction(0)) * times

    assert exact_sum(np.tile(values, times), FLOAT_STEPS) == round(wanted * 2**FLOAT_STEPS)


@given(NUMBERS)
def test_a_sum_of_squares_of_any_float32_is_exact(values):
    wanted = sum((Fraction(v) ** 2 for v in values.tolist()), Fraction(0))

    assert exact_square_sum(values.astype(np.float64), SQUARE_STEPS) == wanted * 2**SQUARE_STEPS


@given(arrays(np.float64, 5, elements=st.floats(1e-30, 1e30)))
def test_a_float64_squared_is_two_summands(values):
    for value, product, rest in zip(values.tolist(), *squares(values), strict=True):
        assert Fraction(float(product)) + Fraction(float(rest)) == Fraction(value) ** 2


def test_a_variance_keeps_its_digits_far_from_zero():
    values = np.array([1e9, 1e9 + 1, 1e9 + 2])
    total, square = exact_sum(values, FLOAT_STEPS), exact_square_sum(values, SQUARE_STEPS)

    # n·Σx² − (Σx)² = n²·variance, by hand 3² · 2/3.
    assert 3 * square - total**2 == 6 << SQUARE_STEPS


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        exact_sum(np.array([1.0, value]), FLOAT_STEPS)
    with pytest.raises(ValueError, match="not finite"):
        steps(value, FLOAT_STEPS)


def test_many_rows_do_not_overflow_the_halves_of_mantissas():
    values = np.full(2**20, np.nextafter(2.0, 0))

    assert exact_sum(values, 52) == 2**20 * (2**53 - 1)


@given(NUMBERS)
def test_a_sum_of_products_is_the_sum_of_fractions(values):
    left, right = values.astype(np.float64), values[::-1].astype(np.float64)
    wanted = sum((Fraction(a) * Fraction(b) for a, b in zip(left, right, strict=True)), Fraction(0))

    assert exact_product_sum(left, right, SQUARE_STEPS) == wanted * 2**SQUARE_STEPS


@given(st.integers(0, 2**2000), st.integers(1, 2**2000))
def test_a_root_of_a_ratio_is_its_root_to_the_last_digits(numerator, denominator):
    ratio = Fraction(numerator, denominator)
    found = Fraction(root(numerator, denominator)) ** 2

    if 2**-1000 < ratio < 2**1000:
        assert abs(found - ratio) <= ratio * Fraction(1, 2**50)


def test_a_root_of_nothing_is_zero():
    assert root(0, 2**300) == 0.0
