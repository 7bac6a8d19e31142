"""Krum, Blanchard et al. 2017, section 4."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.algorithm import GroupUpdate
from strategies.krum import Krum, KrumServer, scores


def groups_of(rows):
    return [GroupUpdate({"w": np.asarray(row, float)}, 1 + i) for i, row in enumerate(rows)]


def test_the_scores_by_hand():
    rows = np.array([[0.0], [1.0], [2.0], [4.0], [100.0]])
    # G = 5, f = 1: squared distances to the 2 nearest others.
    assert scores(rows, 1).tolist() == [1 + 4, 1 + 1, 1 + 4, 4 + 9, 96**2 + 98**2]


def test_the_lowest_score_wins_and_of_equal_ones_the_first():
    krum = Krum(KrumServer(f=1))
    assert krum.combine(groups_of([[0], [1], [2], [4], [100]]))["w"].tolist() == [1.0]
    assert krum.combine(groups_of([[5], [5], [5], [5], [5]]))["w"].tolist() == [5.0]
    two = [[0], [1], [2], [10], [11], [12], [50]]
    assert Krum(KrumServer(f=2)).combine(groups_of(two))["w"].tolist() == [2.0]


@given(
    f=st.integers(1, 3),
    extra=st.integers(0, 3),
    seed=st.integers(0, 10**6),
    distance=st.floats(50, 1e6),
    is_together=st.booleans(),
)
def test_with_f_bad_groups_of_2f_plus_3_an_honest_one_is_chosen(
    f, extra, seed, distance, is_together
):
    """Bad groups away from the honest ones, together or each for itself, are never chosen."""
    rng = np.random.default_rng(seed)
    honest = rng.uniform(-1, 1, (f + 3 + extra, 4))  # at most 4 apart
    directions = rng.standard_normal((f, 4))
    if is_together:
        directions[:] = directions[0]
    bad = distance * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    rows = rng.permutation(np.concatenate([honest, bad]))
    chosen = Krum(KrumServer(f=f)).combine(groups_of(rows))["w"]
    assert (honest == chosen).all(axis=1).any()


def test_the_mean_of_all_that_an_attacker_aims_at_is_not_followed():
    """The paper's lemma 1: one attacker chooses any linear rule's outcome, and not Krum's."""
    honest = [[1.0], [1.1], [0.9], [1.05]]
    attack = [5 * -10.0 - sum(v for (v,) in honest)]  # makes the mean −10
    rows = [*honest, attack]
    assert np.mean(rows) == pytest.approx(-10)
    assert Krum(KrumServer(f=1)).combine(groups_of(rows))["w"] == pytest.approx([1.0], abs=0.1)


@pytest.mark.parametrize(("f", "groups"), [(0, 3), (1, 5), (2, 7), (3, 9)])
def test_the_papers_condition_on_f_is_kept(f, groups):
    krum = Krum(KrumServer(f=f))
    krum.check_groups(groups)
    with pytest.raises(
        ValueError, match=f"f={f} needs at least {groups} groups and has {groups - 1}"
    ):
        krum.check_groups(groups - 1)
