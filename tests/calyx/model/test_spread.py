"""How clients' scores differ, from sums: against NumPy on the scores themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.schema import Schema, Target
from calyx.model.spread import client_spread, spread_counts, spread_terms
from calyx.vector.contribution import Contribution, Layout, decode, encode
from calyx.vector.figures import IMPOSSIBLE
from calyx.vector.quantise import FixedPoint, add

CLASSES = Schema((), ("a", "b"))
VALUES = Schema((), (), Target("cost", 0.0, 1.0))
ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
STEP = 2.0**-29  # of a score in the sums, and half of one on either side
R2 = st.one_of(st.floats(-1, 1), st.floats(-1e120, -1))


def spread_of(scores, schema, rows=9, **options):
    """What the sum of clients' vectors says of their scores; None is one that cannot be told."""
    fixed = FixedPoint(modulus_bits=24, n_max=16, clip=1.0)
    layout = Layout(fixed, 1, (), (), spread_terms(schema))
    total = np.zeros(layout.length, np.uint32)
    for score in scores:
        part = Contribution(1, {}, {}, spread_counts(schema, score, rows))
        total = add(total, encode(part, layout, np.zeros(0, np.float32)), fixed)
    return client_spread(schema, decode(total, len(scores), layout).counts, **options)


@given(ACCURACIES)
def test_of_accuracies_mean_and_sd_are_numpys(scores):
    found = spread_of(scores, CLASSES).values
    assert found["client_mean"] == pytest.approx(np.mean(scores), abs=2**-30)
    if len(scores) > 1:
        assert found["client_sd"] == pytest.approx(np.std(scores), abs=1e-9)


@given(st.lists(R2, min_size=2, max_size=12))
def test_of_r2_mean_and_sd_are_numpys_however_negative(scores):
    found = spread_of(scores, VALUES, of_sample=True).values
    size = np.abs(scores).max()
    assert found["client_mean"] == pytest.approx(
        np.mean(scores), rel=1e-12, abs=1e-12 * size + STEP
    )
    assert found["client_sd"] == pytest.approx(
        np.std(scores, ddof=1), rel=1e-9, abs=1e-9 * size + STEP
    )
    assert sum(s <= found["client_worst_decile"] for s in scores) >= 0.1 * len(scores)


def test_scores_that_are_equal_have_a_spread_of_exactly_zero():
    assert spread_of([1 / 3] * 7, CLASSES).values["client_sd"] == 0.0


def test_a_score_that_cannot_be_told_is_in_no_mean():
    found = spread_of([0.5, None, 1.0], VALUES).values
    assert (found["client_mean"], found["client_sd"]) == (0.75, 0.25)


def test_a_share_of_one_row_in_ten_million_is_seen():
    found = spread_of([1e-7, 1e-7], CLASSES).values["client_mean"]
    assert found == pytest.approx(1e-7, abs=2**-30)


def test_the_worst_tenth_of_a_regression_may_be_far_below_zero():
    assert spread_of([-8.4, 0.9, 0.95], VALUES).values["client_worst_decile"] == -5.0
    assert spread_of([0.82] * 9 + [0.41], CLASSES).values["client_worst_decile"] == 0.45


def test_without_scores_nothing_is_told_and_it_is_said_why():
    assert (
        spread_of([None, None], VALUES).absent["client_mean"] == "no client has a score of its own"
    )
    assert set(spread_of([None], CLASSES, rows=0).absent.values()) == {"no client has rows"}
    assert set(spread_of([0.5], CLASSES).absent) == {"client_sd"}


def test_scores_and_squares_that_contradict_each_other_tell_nothing():
    one, other = (spread_counts(VALUES, score, 9) for score in (0.5, -3.0))
    counts = {name: one[name] + other[name] for name in one} | {"score_squares": [0]}
    assert set(client_spread(VALUES, counts).absent.values()) == {IMPOSSIBLE}


@pytest.mark.parametrize(
    "lie",
    [{"score_bins": 0}, {"scores": 3 << 30}, {"score_squares": 3 << 60}, {"score_squares": 0}],
)
def test_sums_of_scores_that_no_clients_have_are_no_figures(lie):
    counts = {t.name: np.zeros(t.size, dtype=object) for t in spread_terms(CLASSES)}
    for score in (0.5, 0.75):
        counts = {k: counts[k] + v for k, v in spread_counts(CLASSES, score, 4).items()}
    assert client_spread(CLASSES, counts).values["client_mean"] == 0.625
    for name, value in lie.items():
        counts[name][:] = 0
        counts[name][0] = value
    assert client_spread(CLASSES, counts).absent["client_mean"] == IMPOSSIBLE
