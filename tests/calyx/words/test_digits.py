"""Texts of numbers: two values that differ on their own scale read differently, or in their own column."""

import math
from itertools import pairwise
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.run_folders import round_of

from calyx.run.rows import round_line
from calyx.words import digits

DRAW = np.random.default_rng(5)
CENTERS = [0.0, 1.0, -3e-4, 1e6, 24_500_000.0, 1_732_788_000.0, -2.5e11, 1e-12, 3e30]
SCALES = [1e-9, 3e-4, 1.0, 30.0, 86_400.0, 2.5e11]


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("scale", SCALES)
def test_a_hundredth_of_the_scale_reads_differently_and_back(center, scale):
    for share in DRAW.normal(size=50):
        one = center + share * scale
        other = one + 0.01 * scale
        if other == one or abs(other - one) < 4 * np.spacing(abs(one)):
            continue  # a float64 does not tell them apart itself
        texts = digits.by_scale(one, scale), digits.by_scale(other, scale)
        assert texts[0] != texts[1]
        limit = 0.5 * digits.RESOLUTION * scale * (1 + 1e-9) + np.spacing(abs(one))
        assert abs(float(texts[0]) - one) <= limit


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [
        (2449964.5123, 30, "2449964.512"),
        (24500000.1, 30, "24500000.100"),
        (1e6, 1, "1000000.0000"),
        (1234567.8, 250_000, "1234568"),
        (1.234567e-5, 1, "0.0000123457"),  # a scale that is far too wide: six digits all the same
        (-1e-300, 30, "-1.00000e-300"),
        (0.0, 30, "0.000"),
        (12.5, 0.0, "12.5000"),
        (math.nan, 1, "—"),
    ],
)
def test_a_prediction_has_its_targets_digits(value, scale, text):
    assert digits.by_scale(value, scale) == text


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (44650.3, 11_800.0, "44650"),
        (2_450_000.04, 30.0, "2450000.0"),
        (0.51234, 0.25, "0.512"),
        (1234567.0, 0.0, "1234567"),
    ],
)
def test_a_mean_has_the_digits_of_its_deviation(value, spread, text):
    assert digits.with_spread(value, spread) == text


def test_a_score_that_is_nearly_perfect_is_not_called_perfect():
    assert [digits.share(v) for v in (1.0, 0.87, 0.99996, 0.99998, -0.086)] == [
        "1.000",
        "0.870",
        "0.999960",
        "0.999980",
        "-0.086",
    ]
    assert digits.percent_text(0.99996, " %") == "99.9960 %"
    assert digits.percent_text(0.999, " %") == "99.9 %"
    assert digits.percent_text(0.0, " %") == "0.0 %"
    assert digits.percent_text(1 / 3000, " %") == "0.033 %"


def test_figures_of_one_table_that_differ_read_differently():
    for values in ([0.87, 0.8699, 0.5], [0.99996, 0.99998], [0.5, 0.6], [0.123456, 0.123457]):
        decimals = digits.apart(values)
        assert len({f"{v:.{decimals}f}" for v in values}) == len(set(values))
    assert digits.apart([0.87, 0.87, math.nan]) == 3


def test_codes_and_bounds_keep_all_their_digits():
    assert [digits.plain(v) for v in (2_449_900.0, 1_234_567.0, 0.1, 5e-7, -math.inf)] == [
        "2449900",
        "1234567",
        "0.1",
        "5e-07",
        "-inf",
    ]


def test_a_column_has_the_digits_of_its_spread():
    column = [312_500.25, 312_500.5, 312_501.0]
    assert [digits.in_column(v, digits.spread_of(column)) for v in column] == [
        "312500.250",
        "312500.500",
        "312501.000",
    ]
    assert digits.in_column(None, 1.0) == "—"


def test_a_rounds_figures_keep_their_digits_whatever_their_size():
    row = {"val_loss": 0.00012345, "val_r2": 0.99996, "val_rmse": 34279.4389, "val_mae": 4.59172}
    assert round_line(round_of(3, **row), 40) == (
        "round 3/40  train_loss 1.0000  val_loss 0.0001234  val_r2 0.999960  val_rmse 34279.4  "
        "val_mae 4.5917  clients 2/2  0.50 s"
    )
    assert "  val_loss 1.000e-09  val_accuracy —  " in round_line(
        round_of(1, val_loss=1e-9, val_accuracy=None)
    )


FLOATS = st.floats(-1e18, 1e18, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-18)
SHARES = st.floats(0, 1).map(lambda v: round(v, 12))


def read(text):
    return float(text.replace(",", "").removesuffix(" %"))


@given(st.lists(FLOATS, min_size=1, max_size=6))
@settings(deadline=None)
def test_a_column_of_numbers_keeps_its_order_its_gaps_and_four_digits(values):
    shown = [read(text) for text in digits.number_texts(values)]
    for (a, one), (b, other) in pairwise(sorted(zip(values, shown, strict=True))):
        gap = b - a
        assert gap / 2 * (1 - 1e-6) <= other - one <= 2 * gap * (1 + 1e-6)
    assert shown == [pytest.approx(v, rel=5.001e-4) for v in values]


@given(st.lists(SHARES, min_size=1, max_size=6))
@settings(deadline=None)
def test_shares_in_percent_never_read_as_all_or_none_or_as_each_other(shares):
    shown = [read(text) for text in digits.percent_texts(shares)]
    for share, percent in zip(shares, shown, strict=True):
        assert abs(percent - 100 * share) <= 0.0501
        if 1e-11 < share < 1 - 1e-11:
            assert 0 < percent < 100
    for a, one in zip(shares, shown, strict=True):
        assert all((a == b) == (one == other) for b, other in zip(shares, shown, strict=True))


@given(st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 6)), min_size=2, max_size=6))
@settings(deadline=None)
def test_a_deviation_has_two_digits_at_least_and_none_only_where_it_is_0(values):
    (text,) = digits.spread_texts([values])
    center, _, spread = text.partition(" ± ")
    assert read(center) == pytest.approx(mean(values), rel=5.1e-4, abs=1e-12)
    if stdev(values) == 0:
        assert spread in ("0", "")
    else:
        assert read(spread) == pytest.approx(stdev(values), rel=0.0501)


@given(st.integers(-(10**9), 10**9), st.integers(2, 5))
@settings(deadline=None)
def test_counts_that_are_one_whole_number_stand_alone(count, size):
    assert digits.spread_texts([[float(count)] * size], digits.count_texts) == [f"{count:,}"]


def test_scores_that_do_not_vary_have_a_deviation_of_0():
    assert digits.spread_texts([[0.71875] * 3]) == ["0.7188 ± 0"]
    assert digits.spread_texts([[1.0] * 2]) == ["1.000 ± 0"]
    assert digits.spread_texts([[0.91] * 2], digits.percent_texts) == ["91.0 % ± 0 %"]
    assert digits.spread_texts([[46210.2] * 2]) == ["46,210 ± 0"]


@given(st.integers(1, 10**6), st.integers(1, 10**6))
@settings(deadline=None)
def test_a_share_of_a_table_reads_otherwise_than_another(one, other):
    assume(one != other)
    shares = [n / 10**6 for n in (one, other)]
    decimals = digits.apart(shares)
    assert len({f"{share:.{decimals}f}" for share in shares}) == 2


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
    assert digits.number_texts(values) == texts


def test_rounding_does_not_make_a_gap_of_half_a_unit_one_of_a_whole():
    assert digits.number_texts([2449964.5, 2449964.6]) == ["2,449,964.5", "2,449,964.6"]


def test_any_two_floats_can_be_told_apart():
    one, other = 2449964.5, math.nextafter(2449964.5, math.inf)
    first, second = digits.number_texts([one, other])
    assert (float(first.replace(",", "")), float(second.replace(",", ""))) == (one, other)


def test_shares_are_percents_with_one_decimal_or_more():
    assert digits.percent_texts([0.778, 0.736, None]) == ["77.8 %", "73.6 %", "—"]
    assert digits.percent_texts([0.778, 0.99996]) == ["77.8 %", "99.9960 %"]
    assert digits.percent_texts([0.61481, 0.61484]) == ["61.481 %", "61.484 %"]


def test_one_value_has_no_spread_and_none_is_a_dash():
    assert digits.spread_texts([[0.25], []]) == ["0.2500", "—"]


def test_a_spread_that_is_not_0_never_reads_as_0():
    assert digits.deviation_text(7e-11, "0.5000") == "7.0e-11"
    assert digits.deviation_text(0.013, "0.7") == "0.013"
    assert digits.deviation_text(0.0, "0.5000") == "0"
    assert digits.deviation_text(0.01, "91.0 %") == "1.0 %"
    assert digits.deviation_text(0.7071, "6") == "0.71"


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
    found = [digits.shorten_values(values)[value] for value in values]
    assert found == texts
    assert len(set(found)) == len(set(values))


def test_counts_are_whole_where_they_are():
    assert [digits.count_text(v) for v in (3.0, 2.5, 12345.0, None)] == ["3", "2.5", "12,345", "—"]
