"""Numbers with the digits that tell them apart."""

import math
from statistics import stdev

import pytest

from cli.ranking.digits import (
    count_text,
    deviation_text,
    number_texts,
    percent_texts,
    shortened,
    spread_texts,
)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.61481, 0.61484], ["0.61481", "0.61484"]),
        ([0.5], ["0.5000"]),
        ([0.0129], ["0.01290"]),
        ([46210.2], ["46,210"]),
        ([46210.2, 46209.9], ["46,210.2", "46,209.9"]),
        ([0.99996, 1.00003], ["0.99996", "1.0000"]),
        ([-0.0861], ["-0.08610"]),
        ([1e20, 3e-9], ["1.000e+20", "3.000e-09"]),
        ([0.0, -0.0], ["0.000"] * 2),
        ([None, math.nan, math.inf], ["—"] * 3),
        ([0.25, 0.25], ["0.2500"] * 2),
    ],
)
def test_a_column_has_four_digits_and_more_where_two_would_look_equal(values, texts):
    assert number_texts(values) == texts


def test_rounding_does_not_make_a_gap_of_half_a_unit_one_of_a_whole():
    assert number_texts([2449964.5, 2449964.6]) == ["2,449,964.5", "2,449,964.6"]


def test_any_two_floats_can_be_told_apart():
    one, other = 2449964.5, math.nextafter(2449964.5, math.inf)
    first, second = number_texts([one, other])
    assert (float(first.replace(",", "")), float(second.replace(",", ""))) == (one, other)


def test_shares_are_percents_with_one_decimal_or_more():
    assert percent_texts([0.778, 0.736, None]) == ["77.8 %", "73.6 %", "—"]
    assert percent_texts([0.61481, 0.61484]) == ["61.481 %", "61.484 %"]


@pytest.mark.parametrize("values", [[0.1, 0.3], [1.0, 2.0, 4.0]])
def test_the_spread_is_the_sample_standard_deviation(values):
    (text,) = spread_texts([values])
    shown = float(text.partition(" ± ")[2])
    assert shown == pytest.approx(stdev(values), abs=5e-4)


def test_one_value_has_no_spread_and_none_is_a_dash():
    assert spread_texts([[0.25], []]) == ["0.2500", "—"]


def test_a_spread_that_is_not_0_never_reads_as_0():
    assert deviation_text(7e-11, "0.5000") == "7e-11"
    assert deviation_text(0.013, "0.7") == "0.013"
    assert deviation_text(0.0, "0.5000") == "0.0000"
    assert deviation_text(0.01, "91.0 %") == "1.0 %"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["0.042622297695", "fedavg", "40", "0.5"], ["0.04262", "fedavg", "40", "0.5"]),
        (["1234567.1", "1234567.2"], ["1234567.1", "1234567.2"]),
        (["0.30000001", "0.3"], ["0.30000001", "0.3"]),
        (["0.12345678", "0.12345999"], ["0.123457", "0.12346"]),
        (["1.0", "1.00"], ["1.0", "1.00"]),
    ],
)
def test_a_long_number_is_shortened_as_far_as_it_still_differs(values, texts):
    found = [shortened(values)[value] for value in values]
    assert found == texts
    assert len(set(found)) == len(set(values))


def test_counts_are_whole_where_they_are():
    assert [count_text(v) for v in (3.0, 2.5, 12345.0, None)] == ["3", "2.5", "12,345", "—"]
