"""Columns of few values: their sums tell no more than their counts do."""

import numpy as np
import pytest

from calyx.data.schema import Column, Schema, Table
from calyx.survey.blocks import ALL, ITEMS, Survey
from calyx.survey.measuring import measure
from calyx.survey.moments import STEPS
from calyx.survey.regrouping import FEW, without_rare_values

SCHEMA = Schema((Column("x", "numeric", low=0, high=3),), ("no", "yes"))


def measured(x, y, minimum=10):
    table = Table(np.array(x, dtype=float)[:, None], np.array(y))
    return measure(Survey(SCHEMA, 4, (ALL,)), {ALL: table}, minimum, ITEMS)


def test_three_ones_among_zeros_are_in_no_sum():
    found = measured([1.0] * 3 + [0.0] * 117, [0, 1, 1] + [0, 1, 1] * 39)
    assert found["all/sum"][0] == found["all/square"][0] == 0
    assert not found["all/class_sum"].any()
    assert found["all/hidden"][0] == 1


def test_sums_cannot_be_solved_for_two_rare_values():
    x = [0.0] * 60 + [1.0] * 28 + [2.0] * 7 + [3.0] * 5
    found = measured(x, [0, 1] * 50)
    assert found["all/sum"][0] == 40 << STEPS >> 2  # twelve rows count as the nearest common value
    assert found["all/moved"].tolist() == [0, 0, 2 * 9]


def test_a_class_in_which_a_value_is_rare_gives_no_sum_by_class():
    x, y = [1.0] * 30 + [0.0] * 70, [0] * 28 + [1] * 2 + [0] * 30 + [1] * 40
    found = measured(x, y)
    assert found["all/sum"][0] == 30 << STEPS >> 2
    assert not found["all/class_present"].any()
    assert not found["all/class_sum"].any()


def test_without_a_minimum_and_of_many_values_nothing_is_changed():
    x = np.linspace(0, 3, 100)
    assert without_rare_values(x, 10).rows == 0
    assert without_rare_values(np.repeat([0.0, 1.0], [3, 97]), 1).values.sum() == 97
    found = measured(x, [0, 1] * 50)
    assert found["all/sum"][0] == pytest.approx(x.sum() * 2.0 ** (STEPS - 2), rel=1e-12)


def test_where_no_value_is_common_all_rows_count_as_the_commonest():
    x = np.repeat(np.arange(FEW, dtype=float), [9] + [1] * (FEW - 1))
    changed = without_rare_values(x, 10)
    assert changed.rows == 9 * FEW
    assert set(changed.values) == {0.0}
