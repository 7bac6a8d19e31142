"""What sums of one client tell of single rows: the digits of floats, rare values, what was moved.

Two tables of which others shall not know which it is send the same. The oracles are whole numbers.
"""

from fractions import Fraction

import numpy as np
import pytest

from calyx.data.schema import Column, Schema, Table, Target
from calyx.survey.blocks import ALL, ITEMS, Survey
from calyx.survey.measuring import measure
from calyx.survey.moments import STEPS
from calyx.vector.exact import FLOAT_STEPS, exact_sum, scatter_of

COLUMN = Column("x", "numeric", low=0, high=100, may_be_missing=True)
CLASSES = Schema((COLUMN,), ("a", "b"))
NUMBERS = Schema((COLUMN,), (), Target("cost", 0.0, 1.0))
# Σ and Σ of squares are equal, of whole numbers of tenths (Prouhet 1851).
FIRST, SECOND = [0.0, 0.3, 0.5, 0.6], [0.1, 0.2, 0.4, 0.7]
OTHERS = [k / 10 for k in range(10, 60)]


def sent(x, y, schema, minimum=10):
    survey = Survey(schema, 4, (ALL,))
    table = Table(np.asarray(x, dtype=np.float64)[:, None], np.asarray(y))
    found = measure(survey, {ALL: table}, minimum, ITEMS)
    return {b.name: found[f"{ALL}/{b.name}"].tolist() for b in survey.blocks(ALL)}


def test_sums_of_decimals_do_not_tell_them_by_the_digits_that_floats_round_them_to():
    exact = [exact_sum(np.array(four), FLOAT_STEPS) for four in (FIRST, SECOND)]
    assert exact[0] != exact[1]  # 0.3 is not three tenths
    y = np.arange(54) % 2
    first, second = (sent([*four, *OTHERS], y, CLASSES) for four in (FIRST, SECOND))
    names = ("sum", "square", "spread_mean")
    assert [first[name] for name in names] == [second[name] for name in names]


def test_what_is_told_of_numbers_is_right_to_twelve_digits_of_their_deviation():
    x = 1e6 + np.random.default_rng(0).normal(size=50)
    exact = [Fraction(v) for v in x.tolist()]
    mean = sum(exact) / 50
    variance = sum((v - mean) ** 2 for v in exact) / 50
    total = round(sum(exact) * 2**STEPS)
    square = round(sum(v**2 for v in exact) * 4**STEPS)
    count, (told, told_square) = 50, scatter_of(50, total, square).sums
    off = Fraction(told, count << STEPS) - mean
    assert abs(float(off)) < 1e-12 * float(variance) ** 0.5
    theirs = Fraction(count * told_square - told**2, count**2 << 2 * STEPS)
    assert abs(float(theirs / variance) - 1) < 1e-11


@pytest.mark.parametrize("present", [24, 40, 65, 90])
def test_bounds_of_rows_that_were_moved_do_not_tell_how_many_were(present):
    def shares(missing):
        values = np.linspace(1, 99, present - missing)
        found = sent([*values, *[np.nan] * missing], np.arange(present) % 2, CLASSES)
        return found["joined_share"], found["moved"], found["open"][2:]

    assert all(shares(missing) == shares(1) for missing in range(2, 10))


@pytest.mark.parametrize("column", [[0.0] * 45 + [1.0] * 45, list(range(90))])
def test_sums_of_pairs_do_not_tell_how_often_a_target_has_a_rare_value(column):
    told = [sent(column, [1.0] * rare + [0.0] * (90 - rare), NUMBERS) for rare in (0, 3)]
    assert told[1]["pairs"] == [0, 0]
    assert told[0]["pairs"][0] == 90  # of one value alone, which all rows have


def test_sums_of_pairs_do_not_tell_in_how_few_rows_two_marks_meet():
    x = [1.0] * 33 + [0.0] * 57
    y = [0.0] * 30 + [1.0] * 33 + [0.0] * 27
    assert sent(x, y, NUMBERS)["pairs"][0] == 0  # three rows have both
    y = [0.0] * 20 + [1.0] * 33 + [0.0] * 37
    assert sent(x, y, NUMBERS)["pairs"][0] == 90


def test_sums_of_pairs_do_not_tell_how_few_of_the_other_rows_have_a_mark():
    y = np.linspace(-2, 2, 90)
    y[60:] = 1e9  # beyond its reach
    x = np.where(np.arange(90) % 2, 1.0, 0.0)
    assert sent(x, y, NUMBERS)["pairs"][0] == 60
    x[60:] = 0.0
    x[:3] = 0.0
    x[60:63] = 1.0
    assert sent(x, y, NUMBERS)["pairs"][0] == 0
