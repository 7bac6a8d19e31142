"""The least power of two that no site's training rows exceed, of a sum that names no site."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.schema import Table
from calyx.vector.weighing import POWERS, is_possible, least_w_max, site_by_rows


def table(num_examples):
    return Table(np.zeros((num_examples, 1)), np.zeros(num_examples, dtype=np.int64))


def site(num_examples, minimum=1, **more):
    samples = {"all": table(10 * num_examples), "train": table(num_examples)} | more
    return site_by_rows(samples, "all", minimum)


@pytest.mark.parametrize(
    ("rows", "w_max"), [(0, 1), (1, 1), (2, 2), (3, 4), (1024, 1024), (1025, 2048)]
)
def test_a_site_stands_at_the_power_of_two_that_its_training_rows_fit(rows, w_max):
    assert (site(rows).sum(), least_w_max(site(rows))) == (1, w_max)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=6))
def test_no_site_exceeds_the_bound_and_one_exceeds_its_half(rows):
    w_max = least_w_max(sum(site(n) for n in rows))
    assert max(rows) <= w_max
    assert w_max == 1 or max(rows) > w_max / 2


def test_a_fold_may_train_on_more_rows_than_the_training_part_has():
    assert least_w_max(site(1000, **{"fold-0": table(1100)})) == 2048


@pytest.mark.parametrize("rows", [0, 1, 7, 10])
def test_fewer_rows_than_the_minimum_look_like_the_minimum(rows):
    np.testing.assert_array_equal(site(rows, minimum=10), site(10))


def test_the_cells_hold_the_most_rows_that_can_be_counted():
    cells = np.zeros(POWERS, dtype=np.int64)
    cells[-1] = 1
    assert least_w_max(cells) == 2**24


def test_a_site_that_says_more_rows_than_all_have_is_not_believed():
    honest = sum(site(n, 10) for n in (40, 700, 3))
    assert is_possible(honest, 3, 743 + 200)
    assert not is_possible(honest, 2, 943)  # three marks of two sites
    liar = np.zeros(POWERS, dtype=np.int64)
    liar[-1] = 1
    assert not is_possible(honest + liar, 4, 943)
    assert is_possible(honest + liar, 4, 2**24)
