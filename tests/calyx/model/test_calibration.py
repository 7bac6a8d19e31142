"""Calibration error from sums: by hand, against the definition, and over clients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.model.calibration import STEP, coarsen, expected_calibration_error, margin, reliability


def by_definition(confidence, correct, bins):
    """Guo et al. 2017, eq. 3, bin by bin and row by row."""
    total = 0.0
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        inside |= (i == 0) & (confidence == 0)
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].mean())
            total += inside.sum() / len(confidence) * gap
    return total


answers = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def arrays(pairs):
    return np.array([c for c, _ in pairs]), np.array([k for _, k in pairs])


def test_the_error_is_what_the_hand_computes():
    confidence, correct = np.array([0.75, 0.75, 0.25, 0.25]), np.array([True, False, False, False])
    counts = reliability(confidence, correct, 2)
    assert counts.tolist() == [[2, 2], [0, 1], [2**19, 3 * 2**19]]
    assert expected_calibration_error(counts) == 0.25  # 1/2 · |0 − .25| + 1/2 · |.5 − .75|


def test_a_bin_holds_its_upper_edge_and_the_first_one_zero():
    edges = np.array([0.0, 0.1, 0.7, 1.0])
    assert reliability(edges, np.ones(4, bool), 10)[0].tolist() == [2, 0, 0, 0, 0, 0, 1, 0, 0, 1]


@given(answers, st.integers(1, 20))
def test_it_is_the_papers_equation_to_the_fixed_point_step(pairs, bins):
    confidence, correct = arrays(pairs)
    got = expected_calibration_error(reliability(confidence, correct, bins))
    assert got == pytest.approx(by_definition(confidence, correct, bins), abs=STEP)


@given(answers, answers)
def test_counts_of_two_clients_add_up_to_those_of_all_rows(one, other):
    separate = reliability(*arrays(one), 15) + reliability(*arrays(other), 15)
    assert np.array_equal(separate, reliability(*arrays(one + other), 15))


def test_a_model_that_is_always_sure_and_right_has_no_error():
    assert expected_calibration_error(reliability(np.ones(5), np.ones(5, bool), 15)) == 0


def test_float32_probabilities_are_taken():
    counts = reliability(np.array([0.5], np.float32), np.array([True]), 4)
    assert counts.dtype == np.int64


@pytest.mark.parametrize(
    ("confidence", "correct", "bins"),
    [
        ([1.1], [True], 5),
        ([-0.1], [True], 5),
        ([np.nan], [True], 5),
        ([0.5], [True, True], 5),
        ([0.5], [True], 0),
    ],
)
def test_what_is_no_confidence_is_refused(confidence, correct, bins):
    with pytest.raises(ValueError, match=r"confidence|bins"):
        reliability(np.array(confidence), np.array(correct), bins)


def test_no_rows_have_no_error_to_tell():
    with pytest.raises(ValueError, match="no rows"):
        expected_calibration_error(np.zeros((3, 5), np.int64))


@given(
    st.lists(st.lists(st.floats(0, 1, width=32), max_size=40), min_size=1, max_size=4),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
)
def test_what_sites_tell_of_few_rows_leaves_the_pooled_error_within_the_margin(sites, least, seed):
    rng = np.random.default_rng(seed)
    exact, told, coarse = np.zeros((3, 15), np.int64), np.zeros((3, 15), np.int64), 0
    for confidences in sites:
        counts = reliability(np.array(confidences), rng.random(len(confidences)) < 0.7, 15)
        found, rows = coarsen(counts, least)
        exact, told, coarse = exact + counts, told + found, coarse + rows
        small = (counts[0] > 0) & (counts[0] < least)
        middles = np.rint((np.arange(15) + 0.5) / 15 / STEP) * counts[0]
        assert (found[2][small] == middles[small]).all()  # nothing of the rows but their number
        assert (found[:2] == counts[:2]).all()
    rows = int(exact[0].sum())
    if rows:
        off = abs(expected_calibration_error(told) - expected_calibration_error(exact))
        assert off <= margin(coarse, rows, 15) + 1e-12
