"""Alerts: which columns changed, how surely, and that nothing is said of an unchanged population."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.findings.drift import Counts, Limits, Measures, Pair, compare, holm, judge
from calyx.seeding import rng

EVEN = np.full(16, 1 / 16)


def counts(shares, rows, purpose="drift", missing=0) -> Counts:
    return Counts(rng(1, purpose).multinomial(rows, shares), missing)


def pair(observed: Counts, name="age", is_ordered=True) -> Pair:
    return Pair(name, counts(EVEN, 10_000, "baseline"), observed, is_ordered)


def severities(*pairs: Pair) -> list[str]:
    return [drift.severity for drift in compare(pairs)]


def test_an_unchanged_column_is_not_told():
    got = compare([pair(counts(EVEN, 1000))])[0]
    assert got.severity == "none"
    assert got.name == "age"
    assert got.chi2_p > 0.01


def test_columns_keep_their_order_and_only_the_changed_one_is_told():
    moved = np.linspace(1, 3, 16) / 32
    pairs = [pair(counts(EVEN, 2000, name), name) for name in "abc"]
    pairs[1] = pair(counts(moved, 2000), "b")
    got = compare(pairs)
    assert [drift.name for drift in got] == ["a", "b", "c"]
    assert [drift.severity for drift in got] == ["none", "warning", "none"]


def test_a_large_change_is_an_alert():
    assert severities(pair(counts(np.linspace(1, 15, 16) / 128, 2000))) == ["alert"]


def test_a_large_effect_that_chance_can_explain_is_not_told():
    few = Counts(np.array([4, 0, 3, 0, 0, 5, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0]), 0)
    got = compare([pair(few)])[0]
    assert got.psi > 0.25
    assert got.severity == "none"


def test_a_sure_effect_that_is_too_small_is_not_told():
    got = compare([pair(counts(np.linspace(14, 18, 16) / 256, 10**6))])[0]
    assert got.chi2_p < 1e-9
    assert got.psi < 0.04
    assert got.severity == "none"


def test_missing_values_that_appear_are_told_though_the_rest_is_as_it_was():
    got = compare([pair(counts(EVEN, 800, missing=200))])[0]
    assert got.severity == "alert"
    assert got.ks is not None
    assert got.ks < 0.1


def test_categories_have_no_ks():
    got = compare([pair(counts(EVEN, 1000), is_ordered=False)])[0]
    assert (got.ks, got.ks_p) == (None, None)
    assert severities(pair(counts(np.linspace(1, 15, 16) / 128, 2000), is_ordered=False)) == [
        "alert"
    ]


def test_a_window_without_visible_rows_is_unknown():
    assert severities(pair(Counts(np.zeros(16, np.int64), 0, unseen=9))) == ["unknown"]


def test_rows_that_are_hidden_are_no_alarm_and_may_be_one():
    full = counts(np.r_[np.full(8, 0.115), np.full(8, 0.01)], 1000)
    baseline = counts(np.r_[np.full(8, 0.115), np.full(8, 0.01)], 100_000, "baseline")
    seen = np.where(full.cells < 20, 0, full.cells)
    assert severities(Pair("a", baseline, Counts(seen, 0))) == ["warning"]
    unseen = int(full.cells.sum() - seen.sum())
    (found,) = compare([Pair("a", baseline, Counts(seen, 0, unseen=unseen))])
    assert found.severity == "unknown"  # all in one cell, they would be 8 % that were 1 %
    assert found.psi_most > 0.04


def test_more_columns_ask_for_more_certainty():
    # One column's evidence of p = .003 counts alone, and not among sixty-four.
    values = np.array([0.3]), np.array([0.0]), np.array([1.0]), np.array([0.003])
    alone = Measures(*values)
    among = Measures(*(np.r_[v, np.full(63, f)] for v, f in zip(values, (0, 0, 1, 1), strict=True)))
    assert judge(alone, np.array([False])).tolist() == [2]
    assert judge(among, np.full(64, False)).tolist() == [0] * 64


def test_holm_is_what_the_hand_computes():
    p = np.array([0.03, 0.001, 0.5, 0.013])
    assert holm(p, 0.05, 4).tolist() == [False, True, False, True]  # .0125, .0167, then .025
    assert holm(p, 0.05, 3).tolist() == [True, True, False, True]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_finds_all_that_bonferroni_finds_and_nothing_that_is_not_significant_alone(values):
    p = np.array(values)
    found = holm(p, 0.05, len(p))
    assert (found >= (p * len(p) <= 0.05)).all()
    assert (found <= (p <= 0.05)).all()


def test_the_limits_can_be_the_operators_own():
    moved = pair(counts(np.linspace(14, 18, 16) / 256, 10**6))
    assert compare([moved], Limits(psi=(0.001, 0.002)))[0].severity == "alert"


def test_no_columns_are_no_drift():
    assert compare([]) == []


@pytest.mark.parametrize(
    "observed",
    [Counts(np.ones(3, np.int64), 0), Counts(np.full(16, -1), 0), Counts(np.ones(16), -1)],
)
def test_counts_that_cannot_be_compared_are_refused(observed):
    with pytest.raises(ValueError, match="the column age"):
        compare([pair(observed)])
