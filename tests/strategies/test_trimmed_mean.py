"""Trimmed mean of groups' means: Yin et al. 2018, algorithm 1, option II."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from calyx.config.section import parse
from calyx.errors import ConfigError
from strategies import robust
from strategies.algorithm import GroupUpdate
from strategies.median import Median
from strategies.trimmed_mean import TrimmedMean, TrimmedMeanServer, count_trimmed


def combine(rows, beta):
    groups = [GroupUpdate({"w": np.asarray(row)}, 1 + i) for i, row in enumerate(rows)]
    return TrimmedMean(TrimmedMeanServer(beta=beta)).combine(groups)["w"]


def test_the_largest_and_the_smallest_of_each_coordinate_are_left_out():
    rows = [[1.0, 9.0], [2.0, 1e9], [3.0, 7.0], [-1e9, 8.0], [6.0, 6.0]]
    assert combine(rows, 0.2).tolist() == [2.0, 8.0]  # (1 + 2 + 3)/3, (7 + 8 + 9)/3


def test_where_the_share_is_whole_it_is_scipys():
    rows = np.random.default_rng(0).standard_normal((20, 3, 2))
    np.testing.assert_allclose(combine(rows, 0.15), trim_mean(rows, 0.15, axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("groups", "beta", "cut"),
    [(5, 0.2, 1), (5, 0.1, 1), (5, 0.0, 0), (30, 0.1, 3), (100, 0.07, 7), (11, 0.2, 3)],
)
def test_a_fraction_of_a_group_is_cut_as_a_whole_one(groups, beta, cut):
    assert count_trimmed(groups, beta) == cut


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=12),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5),
)
def test_up_to_a_share_beta_of_bad_groups_cannot_move_it_beyond_the_honest(honest, bad):
    bad = bad[: (len(honest) - 1) // 2]
    beta = len(bad) / (len(honest) + len(bad))
    found = combine([[v] for v in honest + bad], beta)[0]
    slack = 1e-9 * max(map(abs, honest))  # of a mean of equal numbers
    assert min(honest) - slack <= found <= max(honest) + slack


def test_groups_of_which_none_would_be_left_are_refused():
    algorithm = TrimmedMean(TrimmedMeanServer(beta=0.4))
    algorithm.check_groups(5)
    with pytest.raises(
        ValueError, match=r"beta=0\.4 cuts 2 of 4 groups at each end and leaves none"
    ):
        algorithm.check_groups(4)


def test_half_is_too_large_a_share():
    with pytest.raises(ConfigError, match=r"strategy\.server\.beta is 0\.5"):
        parse(TrimmedMeanServer, {"beta": 0.5}, "strategy.server")


@pytest.mark.parametrize("shape", [(), (1,), (2,), (7,), (3, 5)])
@pytest.mark.parametrize("kind", [TrimmedMean, Median])
def test_blocks_of_coordinates_give_the_bytes_of_all_at_once(kind, shape, monkeypatch):
    """Oracle: NumPy's sort and median of a stack of whole tensors."""
    monkeypatch.setattr(robust, "_BLOCK", 2)
    rng = np.random.default_rng(3)
    means = [np.asarray(rng.standard_normal(shape)) for _ in range(20)]
    trimmed = np.sort(means, axis=0)[2:18].mean(axis=0)
    oracle = trimmed if kind is TrimmedMean else np.median(means, axis=0)
    algorithm = kind(TrimmedMeanServer(beta=0.1))
    combined = algorithm.combine([GroupUpdate({"w": mean}, 1) for mean in means])
    assert combined["w"].tobytes() == np.asarray(oracle).tobytes()
    assert combined["w"].shape == shape
