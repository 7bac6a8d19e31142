"""Median of groups' means: Yin et al. 2018, algorithm 1."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strategies.algorithm import GroupUpdate, NoKeys
from strategies.median import Median


def test_the_median_of_each_coordinate_by_hand():
    groups = [
        GroupUpdate({"w": np.array(v)}, n)
        for v, n in (([1.0, 9.0], 1), ([2.0, 7.0], 99), ([3.0, 8.0], 1))
    ]
    assert Median(NoKeys()).combine(groups)["w"].tolist() == [2.0, 8.0]


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=9),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_minority_of_groups_cannot_move_it_beyond_what_the_others_sent(honest, attack):
    groups = [GroupUpdate({"w": np.array([value])}, 1) for value in honest]
    groups += [GroupUpdate({"w": np.array([attack])}, 1)] * ((len(honest) - 1) // 2)
    assert min(honest) <= Median(NoKeys()).combine(groups)["w"][0] <= max(honest)
