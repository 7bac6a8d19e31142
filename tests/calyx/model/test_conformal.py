"""Scores in cells that add up over clients, beside split conformal prediction on the pooled rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.schema import Schema
from calyx.model.conformal import (
    NAME,
    coarsen_conformal,
    count_errors,
    count_probabilities,
    error_ends,
    find_cell,
    find_least,
    find_radius,
    probability_ends,
    read_conformal,
)
from calyx.vector.figures import IMPOSSIBLE

THREE = Schema((), ("a", "b", "c"))
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=200).map(np.array)
COVERAGE = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def exact_quantile(scores, coverage):
    """The conformal quantile as MAPIE takes it: the ⌈(n+1)(1-α)⌉-th smallest score, else none."""
    rank = int(np.ceil(round((len(scores) + 1) * coverage, 9)))
    return np.sort(scores)[rank - 1] if rank <= len(scores) else None


def least_of(cells, coverage):
    return find_least(cells, probability_ends(), coverage)


@given(SHARES, COVERAGE)
def test_a_threshold_is_the_exact_one_or_the_end_of_its_cell_below(true, coverage):
    exact = exact_quantile(1 - true, coverage)
    place = find_cell(count_probabilities(true), coverage)
    assert (place is None) == (exact is None)
    if place is not None:
        least = probability_ends()[place]
        above = np.append(1.0, probability_ends())[place]
        assert least <= 1 - exact + 1e-12
        assert 1 - exact < above + 1e-12


@given(st.lists(st.floats(0, 15), min_size=1, max_size=200).map(np.array), COVERAGE)
def test_a_radius_is_the_exact_one_or_at_most_a_sixteenth_wider(errors, coverage):
    exact, radius = (
        exact_quantile(errors, coverage),
        find_radius(count_errors(errors), error_ends(), coverage),
    )
    assert (radius is None) == (exact is None)
    if radius is not None:
        assert exact <= radius <= max(exact * 2 ** (1 / 12) * (1 + 1e-12), 2.0**-8)


@given(st.lists(SHARES, min_size=1, max_size=5), st.integers(1, 12), COVERAGE)
def test_clients_that_hide_small_cells_make_no_set_smaller(clients, least, coverage):
    exact = sum(count_probabilities(one) for one in clients)
    told = [coarsen_conformal({NAME: count_probabilities(one)}, THREE, least) for one in clients]
    total = sum(one[NAME] for one in told)
    assert total.sum() == exact.sum()
    assert (np.cumsum(total) <= np.cumsum(exact)).all()
    assert least_of(total, coverage) <= least_of(exact, coverage)
    for one in told:
        small = np.flatnonzero((one[NAME] > 0) & (one[NAME] < least))
        assert all(place % 4 == 3 or place == len(total) - 1 for place in small)


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_sets_and_intervals_hold_the_truth_as_often_as_is_said(coverage):
    rng, hits, inside, repeats = np.random.default_rng(0), 0.0, 0.0, 300
    for _ in range(repeats):
        probabilities = rng.dirichlet([0.3, 0.5, 1.0], 300)
        true = (rng.random(300)[:, None] > np.cumsum(probabilities, axis=1)).sum(axis=1)
        own = probabilities[np.arange(300), true]
        hits += (own[100:] >= least_of(count_probabilities(own[:100]), coverage)).mean() / repeats
        errors = np.abs(rng.standard_t(3, 300))
        radius = find_radius(count_errors(errors[:100]), error_ends(), coverage)
        inside += (errors[100:] <= radius).mean() / repeats
    # Of 100 rows a coverage's sd is 0.04 at most, and that of the mean of 300 is 0.0024.
    assert coverage - 0.01 < hits < coverage + 0.06
    assert coverage - 0.01 < inside < coverage + 0.06


def test_too_few_rows_for_a_coverage_leave_every_class_and_no_interval():
    nine = count_probabilities(np.full(9, 0.9))
    assert find_cell(nine, 0.9) is not None  # ⌈10 · 0.9⌉ = 9
    assert least_of(nine, 0.95) == 0
    assert find_radius(count_errors(np.full(9, 0.5)), error_ends(), 0.95) is None


def test_rows_without_a_finite_answer_count_as_the_worst():
    assert count_probabilities(np.ones(3), 2)[[0, -1]].tolist() == [3, 2]
    assert find_radius(count_errors(np.zeros(3), 2), error_ends(), 0.7) is None
    assert np.isinf(error_ends()[-1])


@pytest.mark.parametrize(
    ("counts", "is_own", "why"),
    [
        ({}, False, "rows are not counted"),
        ({NAME: np.array([0, 0]), "rows": [0]}, False, "no client has test rows"),
        ({NAME: np.array([1, 0]), "rows": [2]}, False, IMPOSSIBLE),
        ({NAME: np.array([1, 1]), "rows": [2]}, True, "a model of its own"),
    ],
)
def test_sums_that_say_nothing_have_their_reason(counts, is_own, why):
    cells, reason = read_conformal(counts, is_own=is_own)
    assert cells is None
    assert why in reason
