"""Texts of numbers: two values that differ on their own scale read differently."""

import math

import numpy as np
import pytest

from calyx import digits
from server.folder import shown_figures

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
    ("mean", "sd", "text"),
    [
        (44650.3, 11_800.0, "44650 ± 11800"),
        (2_450_000.04, 30.0, "2450000.0 ± 30.0"),
        (0.51234, 0.25, "0.512 ± 0.250"),
        (1234567.0, 0.0, "1234567 ± 0"),
    ],
)
def test_a_mean_has_the_digits_of_its_deviation(mean, sd, text):
    assert digits.mean_text(mean, sd) == text


def test_a_score_that_is_nearly_perfect_is_not_called_perfect():
    assert [digits.share(v) for v in (1.0, 0.87, 0.99996, 0.99998, -0.086)] == [
        "1.000",
        "0.870",
        "0.999960",
        "0.999980",
        "-0.086",
    ]
    assert digits.percent(0.99996, " %") == "99.9960 %"
    assert digits.percent(0.999, " %") == "99.9 %"
    assert digits.percent(0.0, " %") == "0.0 %"
    assert digits.percent(1 / 3000, " %") == "0.033 %"


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
    assert (
        shown_figures(row)
        == "val_loss 0.0001234  val_r2 0.999960  val_rmse 34279.4  val_mae 4.5917"
    )
    assert (
        shown_figures({"val_loss": 1e-9, "val_accuracy": None})
        == "val_loss 1.000e-09  val_accuracy —"
    )
