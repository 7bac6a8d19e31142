"""PSI, KS and chi-square of binned counts: by hand, against scipy, and what must always hold."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from calyx.findings.distances import LEAST, chi_square, fill_hidden, ks, psi
from calyx.seeding import rng

counts = arrays(np.int64, 8, elements=st.integers(0, 500))


def draw(purpose, rows, windows, cells=16):
    return rng(1, purpose).multinomial(rows, np.full(cells, 1 / cells), windows)


def test_psi_is_what_the_hand_computes():
    got = psi(np.array([50, 50]), np.array([25, 75]))
    assert got == pytest.approx(0.25 * np.log(3))  # (.25 − .5) ln(.5) + (.75 − .5) ln(1.5)


def test_a_cell_empty_on_one_side_counts_as_half_a_row():
    got = psi(np.array([50.0, 50, 0]), np.array([50.0, 50, 100]))
    assert got == pytest.approx(psi(np.array([50.0, 50, 0.5]), np.array([50.0, 50, 100])))
    assert np.isfinite(got)


@given(counts, counts)
def test_psi_is_symmetric_and_never_negative(one, other):
    assert psi(one, other) == pytest.approx(psi(other, one), rel=1e-9, abs=1e-12)
    assert psi(one, other) >= 0


@given(counts, st.integers(1, 9))
def test_equal_distributions_are_no_distance_apart(one, times):
    assume(one.sum() > 0)
    assert psi(one, times * one) == pytest.approx(0, abs=1e-12)
    assert ks(one, times * one)[0] == pytest.approx(0, abs=1e-12)
    assert chi_square(one, times * one)[0] == pytest.approx(0, abs=1e-9)
    assert chi_square(one, times * one)[1] == pytest.approx(1)


@given(counts, counts, st.permutations(range(8)))
def test_the_order_of_cells_does_not_matter_to_psi_and_chi_square(one, other, order):
    assert psi(one[order], other[order]) == pytest.approx(psi(one, other), abs=1e-9)
    for got, want in zip(chi_square(one[order], other[order]), chi_square(one, other), strict=True):
        assert got == pytest.approx(want, abs=1e-9)


@given(counts, counts)
def test_ks_and_its_p_value_are_scipys_on_the_raw_values(one, other):
    assume(one.sum() > 0 and other.sum() > 0)
    cells = np.arange(8)
    raw = stats.ks_2samp(np.repeat(cells, one), np.repeat(cells, other), method="asymp")
    statistic, p = ks(one, other)
    assert statistic == pytest.approx(raw.statistic)
    n, m = one.sum(), other.sum()
    assert p == pytest.approx(stats.kstwobign.sf(statistic * np.sqrt(n * m / (n + m))), abs=1e-12)
    if min(n, m) > 300:
        assert p == pytest.approx(raw.pvalue, abs=0.05)  # scipy's is of finite samples


@given(counts, counts)
def test_chi_square_is_scipys_where_no_cell_is_sparse(one, other):
    total = one + other
    assume(min(one.sum(), other.sum()) / max(total.sum(), 1) * total.min() >= LEAST)
    want = stats.chi2_contingency(np.stack([one, other]), correction=False)
    assert chi_square(one, other) == pytest.approx((want.statistic, want.pvalue))


def test_sparse_cells_are_pooled_into_one():
    one, other = np.array([1, 40, 50, 2, 4]), np.array([3, 60, 50, 1, 3])
    pooled = np.array([[40, 50, 7], [60, 50, 7]])
    want = stats.chi2_contingency(pooled, correction=False)
    assert chi_square(one, other) == pytest.approx((want.statistic, want.pvalue))


def test_a_pool_that_is_still_sparse_takes_the_smallest_other_cell():
    one, other = np.array([1, 40, 50]), np.array([2, 20, 60])
    want = stats.chi2_contingency(np.array([[41, 50], [22, 60]]), correction=False)
    assert chi_square(one, other) == pytest.approx((want.statistic, want.pvalue))


@pytest.mark.parametrize(
    ("one", "other"), [([0, 0], [5, 5]), ([9, 0], [100, 0]), ([1, 2], [2, 1]), ([0, 0], [0, 0])]
)
def test_what_cannot_be_tested_is_not_significant(one, other):
    assert chi_square(np.array(one), np.array(other)) == (0, 1)


def test_a_side_without_rows_is_no_distance_away():
    assert psi(np.zeros(3), np.ones(3)) == 0
    assert ks(np.zeros(3), np.ones(3)) == (0, 1)


@pytest.mark.parametrize("rows", [200, 1000, 10_000])
def test_chi_squares_p_values_are_uniform_when_nothing_changed(rows):
    p = chi_square(draw("a", 10_000, 4000), draw("b", rows, 4000))[1]
    for level in (0.01, 0.05, 0.5):
        # Four standard deviations of a share of 4,000.
        assert (p <= level).mean() == pytest.approx(level, abs=4 * (level / 4000) ** 0.5)


def test_the_binned_ks_is_never_surer_than_it_may_be():
    p = ks(draw("a", 1000, 4000, 100), draw("b", 1000, 4000, 100))[1]
    for level in (0.01, 0.05, 0.5):
        assert (p <= level).mean() <= level + 4 * (level / 4000) ** 0.5
    assert (p <= 0.05).mean() > 0.02


def test_a_stack_of_columns_gives_what_each_gives():
    one, other = draw("a", 300, (5, 3)), draw("b", 100, (5, 3))
    for distance in (psi, lambda e, o: ks(e, o)[1], lambda e, o: chi_square(e, o)[0]):
        together = distance(one, other)
        assert together.shape == (5, 3)
        assert together[4, 2] == pytest.approx(distance(one[4, 2], other[4, 2]))


def hide(full, least):
    return np.where(full < least, 0, full)


@given(counts, st.integers(1, 9), st.integers(2, 40))
def test_what_suppression_hides_of_an_equal_distribution_is_no_distance(one, times, least):
    seen = (hide(times * one, least), hide(one, least))
    assume(min(side.sum() for side in seen) > 0)
    assume((one >= least).any())
    filled = fill_hidden(*seen, least - 1, least - 1)
    assert psi(*filled) <= psi(*seen) + 1e-12
    assert chi_square(*filled)[1] > 0.5


@given(counts, counts, st.integers(0, 30), st.integers(0, 30))
def test_a_cell_is_filled_by_no_more_than_may_be_hidden(one, other, left, right):
    for side, filled, most in zip(
        (one, other), fill_hidden(one, other, left, right), (left, right), strict=True
    ):
        assert (filled >= side - 1e-9).all()
        assert (filled <= side + most + 1e-9).all()


def test_what_suppression_cannot_explain_stays_a_distance():
    one, other = np.array([500, 500, 0]), np.array([500, 500, 400])
    filled = fill_hidden(one, other, 9, 9)
    assert psi(*filled) > 0.5
    assert chi_square(*filled)[1] < 1e-9
