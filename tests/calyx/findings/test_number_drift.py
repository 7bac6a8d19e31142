"""Numbers known to bounds: they are taken to be as like each other as the bounds allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calyx.findings.number_drift import alike, taut

PATHS = st.integers(0, 2**20)


def corridor(draw, edges):
    """Two ascending bounds, and ascending shares between them."""
    inner = np.sort(draw.random((2, edges)), axis=1)
    low, high = inner.min(axis=0), inner.max(axis=0)
    part = draw.random(edges)
    return (low, high), np.maximum.accumulate(low + part * (high - low))


def bins(below):
    return np.diff(np.r_[0.0, below, 1.0])


def divergences(p, q):
    """Pearson's χ², the Kullback-Leibler divergence, both of `q` from `p`, and the greatest gap."""
    kl = np.where(q > 0, q * np.log(np.where(q > 0, q, 1) / p), 0).sum()
    return np.array([((q - p) ** 2 / p).sum(), kl, np.abs(np.cumsum(q - p)).max()])


@given(PATHS, st.integers(1, 30))
@settings(deadline=None)
def test_no_shares_within_the_bounds_are_more_alike(seed, edges):
    draw = np.random.default_rng(seed)
    toward = np.cumsum(draw.dirichlet(np.ones(edges + 1)))[:-1]
    bounds, other = corridor(draw, edges)
    found = taut(toward, bounds)
    assert (found >= bounds[0] - 1e-9).all()
    assert (found <= bounds[1] + 1e-9).all()
    assert (np.diff(found) >= -1e-9).all()
    p = bins(toward)
    assert (
        divergences(p, bins(found).clip(0)) <= divergences(p, bins(other)) * 1.0001 + 1e-6
    ).all()


def test_a_string_bends_where_a_bound_holds_it():
    """By hand: straight from 0 to the upper bound 0.1 at 0.5, and from there to 1."""
    toward = np.array([0.25, 0.5, 0.75])
    found = taut(toward, (np.zeros(3), np.array([1.0, 0.1, 1.0])))
    assert found == pytest.approx([0.05, 0.1, 0.55])


def test_shares_that_both_bounds_allow_are_no_difference():
    first = np.array([0.2, 0.5, 0.7]), np.array([0.3, 0.6, 0.8])
    one, other = alike(first, (first[0] - 0.1, first[1] + 0.05))
    assert one == pytest.approx(other)


def test_bins_without_rows_are_compared_too():
    first = np.array([0.5, 0.5, 0.5]), np.array([0.5, 0.5, 0.5])
    one, other = alike(first, (np.array([0.2, 0.4, 0.6]), np.array([0.2, 0.4, 0.6])))
    assert one.tolist() == [0.5, 0.5, 0.5]
    assert other == pytest.approx([0.2, 0.4, 0.6])
