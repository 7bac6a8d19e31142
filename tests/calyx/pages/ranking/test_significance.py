"""What is more than seeds do: against SciPy's own tests."""

import pytest
from scipy import stats

from calyx.pages.ranking.significance import difference

ONE = {"1": 0.81, "2": 0.72, "3": 0.93, "4": 0.78}
OTHER = {"1": 0.80, "2": 0.70, "3": 0.92, "4": 0.75}


def test_shared_seeds_are_compared_in_pairs():
    found = difference(ONE, OTHER)
    oracle = stats.ttest_rel(list(ONE.values()), list(OTHER.values())).confidence_interval(0.95)
    assert found.is_paired
    assert found.num_seeds == 4
    assert found.ahead - found.margin == pytest.approx(oracle.low)
    assert found.ahead + found.margin == pytest.approx(oracle.high)


def test_only_seeds_that_both_have_are_compared():
    more = {**OTHER, "5": 0.01}
    assert difference(ONE, more) == difference(ONE, OTHER)


def test_settings_without_a_seed_in_common_are_compared_by_welch():
    other = {"5": 0.80, "6": 0.70, "7": 0.92}
    found = difference(ONE, other)
    oracle = stats.ttest_ind(list(ONE.values()), list(other.values()), equal_var=False)
    assert not found.is_paired
    assert found.num_seeds == 3
    assert found.ahead + found.margin == pytest.approx(oracle.confidence_interval(0.95).high)


def test_differences_that_do_not_vary_are_no_certainty():
    """The seeds still do, and Welch's margin says how much."""
    one, other = {"1": 0.9, "2": 0.91, "3": 0.92}, {"1": 0.8, "2": 0.81, "3": 0.82}
    found = difference(one, other)
    oracle = stats.ttest_ind(list(one.values()), list(other.values()), equal_var=False)
    assert not found.is_paired
    assert found.ahead + found.margin == pytest.approx(oracle.confidence_interval(0.95).high)


@pytest.mark.parametrize("seeds", [("1",), ("1", "2", "3")])
def test_where_nothing_varies_the_margin_is_unknown(seeds):
    found = difference(dict.fromkeys(seeds, 0.778), dict.fromkeys(seeds, 0.736))
    assert found.margin is None
