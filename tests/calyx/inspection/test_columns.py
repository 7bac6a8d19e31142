"""One column by itself: what is told of planted oddities, and that sound columns are left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.schema import Column
from calyx.inspection.columns import (
    column_findings,
    find_factor,
    outliers,
    undeclared_code,
    unit_findings,
)
from calyx.seeding import rng

AGE = Column("age", "numeric", low=18, high=100)
FREE = Column("free", "numeric")


def draw(purpose="columns") -> np.random.Generator:
    return rng(1, purpose)


def ages(rows=300) -> np.ndarray:
    return draw().normal(55, 9, rows).clip(18, 100)


def checks(values, column=AGE) -> list[tuple[str, str, int]]:
    return [(f.check, f.severity, f.count) for f in column_findings(np.asarray(values), column)]


@pytest.mark.parametrize(
    "values",
    [
        ages(),
        np.where(draw().random(300) < 0.6, 0, draw().normal(20, 2, 300)),
        np.round(ages()),
    ],
    ids=["normal", "mostly zero", "whole numbers"],
)
def test_a_sound_column_gives_no_warning(values):
    assert not [c for c in checks(values, FREE) if c[1] == "warning"]


def test_a_lognormal_column_gives_no_outliers():
    assert not outliers(np.exp(draw().normal(0, 1, 500))).any()


def test_outliers_are_exactly_those_that_were_planted():
    values = ages()
    values[[3, 70]] = 55 + 10 * values.std(), 55 - 10 * values.std()
    assert np.flatnonzero(outliers(values)).tolist() == [3, 70]


def test_outliers_are_found_beside_a_spike_of_zeros():
    values = np.where(draw().random(300) < 0.6, 0, draw().normal(20, 2, 300))
    values[5] = 80
    assert np.flatnonzero(outliers(values)).tolist() == [5]


def test_many_outliers_do_not_hide_each_other():
    values = ages()
    values[:30] = 300
    assert outliers(values).sum() == 30


@pytest.mark.parametrize(
    ("column", "severity"),
    [
        (FREE, "warning"),
        (AGE, "warning"),
        (Column("age", "numeric", low=0, high=200), "info"),
        (Column("age", "numeric", low=0), "warning"),
    ],
    ids=["no range", "outside", "inside", "open above"],
)
def test_outliers_that_the_schema_calls_plausible_are_only_told(column, severity):
    values = ages()
    values[3] = 150
    assert ("outliers", severity, 1) in checks(values, column)


@given(st.floats(0.001, 1000), st.floats(-1000, 1000))
def test_outliers_do_not_depend_on_unit_and_origin(factor, shift):
    values = draw().normal(0, 1, 100)
    values[7] = 30
    assert np.flatnonzero(outliers(values * factor + shift)).tolist() == [7]


@pytest.mark.parametrize("values", [[], [1.0], [5.0] * 100, [1.0, 2.0] * 9])
def test_too_little_to_tell_gives_nothing(values):
    assert checks(values, FREE) == []


@pytest.mark.parametrize("code", [0.0, -1.0, 999.0, -9.0])
def test_a_code_that_nobody_declared_is_a_warning(code):
    values = ages()
    values[:12] = code
    assert ("undeclared-code", "warning", 12) in checks(values)
    assert "outliers" not in {c[0] for c in checks(values)}


def test_a_code_inside_the_declared_range_is_only_told():
    values = np.r_[draw().normal(40, 2, 200), np.full(10, 99.0)]
    assert ("undeclared-code", "info", 10) in checks(values)


def test_a_zero_that_is_near_the_others_is_a_value():
    assert undeclared_code(np.tile(np.arange(0.0, 30), 10), FREE) is None


def test_two_rows_are_not_enough_for_a_code():
    values = ages()
    values[:2] = 0
    assert undeclared_code(values, AGE) is None


@pytest.mark.parametrize("factor", [10, 0.1, 1000, 0.4536])
def test_values_outside_their_range_that_a_factor_puts_right_name_it(factor):
    body = Column("weight", "numeric", low=30, high=200)
    sound = draw().normal(80, 12, 300)
    for finding in unit_findings(sound * factor, body):
        assert finding.severity == "warning"
        named = float(finding.message.rstrip(".").rpartition(" ")[2])
        assert 30 <= np.median(sound * factor / named) <= 200
        return
    # In pounds a weight may still lie in the range: nothing can be said.
    assert factor == 0.4536


def test_values_outside_their_range_of_no_known_factor_are_told_without_one():
    (finding,) = unit_findings(draw().normal(-500, 100, 300), AGE)
    assert "another unit or another column" in finding.message


def test_zeros_do_not_hide_another_unit():
    pixel = Column("pixel", "numeric", low=0, high=1)
    values = np.where(draw().random(300) < 0.7, 0, draw().uniform(1.5, 10, 300))
    (finding,) = unit_findings(values, pixel)
    assert (finding.check, finding.count) == ("unit", int((values > 0).sum()))


def test_values_that_huddle_at_an_edge_are_told():
    wide = Column("share", "numeric", low=0, high=100)
    (finding,) = unit_findings(draw().uniform(0.1, 0.9, 300), wide)
    assert (finding.check, finding.severity) == ("unit", "info")


def test_a_column_without_a_range_has_no_wrong_unit():
    assert list(unit_findings(ages() * 10, FREE)) == []


@pytest.mark.parametrize(
    ("ratio", "factor"), [(9.8, 10), (0.1, 0.1), (38, 38.67), (0.45, 1 / 2.2046), (1.3, None)]
)
def test_a_ratio_is_named_after_the_units_that_it_is_between(ratio, factor):
    assert find_factor(ratio) == (pytest.approx(factor) if factor else None)


def test_no_sentence_holds_a_value_of_a_row():
    values = ages()
    values[0] = 31337.25
    messages = [f.message for f in column_findings(values, AGE)]
    assert messages
    assert not any("31337" in message for message in messages)
