"""Multi-Krum, Blanchard et al. 2017, section 4."""

import numpy as np
import pytest

from strategies.algorithm import GroupUpdate
from strategies.krum import Krum, KrumServer
from strategies.multi_krum import MultiKrum, MultiKrumServer

ROWS = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 1.0], [100.0, -7.0], [2.5, 0.0], [3.0, 3.0]])


def combine(f, m, rows=ROWS, weights=(1, 2, 3, 4, 5, 6)):
    groups = [
        GroupUpdate({"a": row[:1].copy(), "b": row[1:].reshape(1, 1).copy()}, weight)
        for row, weight in zip(rows, weights, strict=True)
    ]
    found = MultiKrum(MultiKrumServer(f=f, m=m)).combine(groups)
    assert found["b"].shape == (1, 1)
    return np.concatenate([found["a"], found["b"][0]])


def test_the_mean_of_the_m_lowest_scores_by_hand():
    # f = 1 of 6: three nearest others each. Scores: (0,0) 1 + 5 + 6.25, (1,0) 1 + 2 + 2.25,
    # (2,1) 1.25 + 2 + 5, (2.5,0) 1.25 + 2.25 + 6.25, (3,3) 5 + 9.25 + 13.
    assert combine(1, 2) == pytest.approx([1.5, 0.5])
    assert combine(1, 3) == pytest.approx([5.5 / 3, 1 / 3])


def test_weights_of_groups_do_not_count():
    assert combine(1, 3).tolist() == combine(1, 3, weights=(9, 1, 1, 1000, 1, 1)).tolist()


def test_m_one_is_krum_and_m_null_is_as_many_as_are_compared():
    groups = [GroupUpdate({"w": row}, 1) for row in ROWS]
    assert combine(1, 1).tolist() == Krum(KrumServer(f=1)).combine(groups)["w"].tolist()
    assert combine(1, None).tolist() == combine(1, 6 - 1 - 2).tolist()


def test_without_bad_groups_and_with_m_all_it_is_the_plain_mean():
    assert combine(0, 6) == pytest.approx(ROWS.mean(axis=0))


@pytest.mark.parametrize("seed", range(20))
def test_bad_groups_far_away_are_never_averaged(seed):
    rng = np.random.default_rng(seed)
    honest, bad = rng.uniform(-1, 1, (7, 2)), rng.uniform(50, 60, (2, 2))
    rows = rng.permutation(np.concatenate([honest, bad]))
    assert np.abs(combine(2, 7, rows, [1] * 9)).max() <= 1


def test_too_few_groups_and_too_large_an_m_are_refused():
    with pytest.raises(ValueError, match="f=1 needs at least 5 groups and has 4"):
        MultiKrum(MultiKrumServer(f=1, m=None)).check_groups(4)
    MultiKrum(MultiKrumServer(f=1, m=4)).check_groups(5)
    with pytest.raises(ValueError, match="m=5 averages more than the 4 of 5 groups"):
        MultiKrum(MultiKrumServer(f=1, m=5)).check_groups(5)
