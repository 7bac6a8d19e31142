"""Parts and folds: what belongs together stays together, whatever the order of the file."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.schema import Table
from client.failures import ClientFailure
from client.rows.splitting import PART_NAMES, Fold, split, split_fold


def table(values, blocks=None):
    x = np.array(values, dtype=np.float64).reshape(len(values), 1)
    return Table(x, np.arange(len(values)) % 2 * 0, blocks)


def folds_of(rows, k, seed=1, client="north"):
    """The test part of each fold, as sorted values."""
    return [
        sorted(split_fold(rows, seed, client, Fold(i, k))["test"].x[:, 0].tolist())
        for i in range(k)
    ]


def shares(rows, seed=1):
    """The shares of all rows that train, validate and test."""
    parts = split(rows, seed, "north")
    return [round(len(parts[name]) / len(rows), 2) for name in PART_NAMES]


def grouped(*sizes):
    """Groups of so many rows, each row with a value of its own."""
    return table(range(sum(sizes)), np.repeat(np.arange(len(sizes)), sizes))


def timed(*sizes):
    """As many rows at each of the times 0, 1, 2, …"""
    rows = grouped(*sizes)
    return replace(rows, blocks=None, times=rows.blocks.astype(np.float64))


values = st.lists(st.integers(0, 40), min_size=1, max_size=60)


@given(st.integers(1, 80), st.integers(0, 99))
def test_every_row_is_in_one_part(count, seed):
    parts = split(table(range(count)), seed, "north")
    assert sorted(row for part in parts.values() for row in part.x[:, 0]) == list(range(count))


def test_the_parts_are_three_and_one_and_one_fifths():
    for rows in (table(range(100)), grouped(*[1] * 100), grouped(*[2] * 50)):
        assert shares(rows) == [0.6, 0.2, 0.2]


def test_a_split_comes_from_the_seed_and_the_name():
    def trained(*key):
        return split(grouped(*[5] * 20), *key)["train"].x.tolist()

    assert trained(1, "north") == trained(1, "north")
    assert trained(1, "north") not in (trained(2, "north"), trained(1, "south"))


@given(values, st.integers(2, 7))
def test_every_row_is_tested_once_and_equal_rows_in_one_fold(numbers, k):
    folds = folds_of(table(numbers), k)
    assert sorted(v for fold in folds for v in fold) == sorted(map(float, numbers))
    assert sum(len(set(fold)) for fold in folds) == len(set(numbers))


@given(values, st.randoms())
def test_the_order_of_rows_does_not_matter(numbers, random):
    mixed = list(numbers)
    random.shuffle(mixed)
    assert folds_of(table(numbers), 3) == folds_of(table(mixed), 3)


@given(values)
def test_what_a_model_sees_is_all_but_its_fold(numbers):
    rows = table(numbers)
    for i in range(3):
        parts = split_fold(rows, 1, "north", Fold(i, 3))
        assert sum(map(len, parts.values())) == len(rows)
        seen = {*parts["train"].x[:, 0], *parts["validation"].x[:, 0]}
        assert not seen & set(parts["test"].x[:, 0])


def test_folds_are_of_like_size_and_differ_by_seed_and_client():
    rows = table(range(100))
    assert [len(fold) for fold in folds_of(rows, 5)] == [20] * 5
    others = [folds_of(rows, 5, seed=2), folds_of(rows, 5, client="south")]
    assert folds_of(rows, 5) not in others


numbers = st.lists(st.integers(0, 12), min_size=1, max_size=40)


@given(numbers, st.integers(1, 50), st.integers(2, 10))
def test_no_group_is_trained_on_and_tested(groups, seed, k):
    rows = table(range(len(groups)), np.array(groups))
    dealt = [split(rows, seed, "north")]
    dealt += [split_fold(rows, seed, "north", Fold(i, k)) for i in range(k)]
    for parts in dealt:
        held = [set(part.blocks.tolist()) for part in parts.values()]
        assert sum(map(len, held)) == len(set(groups))
        assert sum(map(len, parts.values())) == len(rows)
        assert len(parts["train"])
    tested = sum(len(parts["test"]) for parts in dealt[1:])
    assert tested == (len(rows) if len(set(groups)) > 1 else 0)


@given(numbers, st.integers(1, 50))
def test_what_is_tested_is_later_than_all_that_was_trained_on(times, seed):
    rows = replace(table(range(len(times))), times=np.array(times, dtype=np.float64))
    parts = [split(rows, seed, "north")[name] for name in PART_NAMES]
    assert sum(map(len, parts)) == len(rows)
    assert len(parts[0])
    told = [part.times for part in parts if len(part)]
    assert all(before.max() < after.min() for before, after in pairwise(told))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_a_split_that_the_rows_bring_is_taken_as_it_is(of):
    rows = replace(table(range(len(of))), parts=np.array(of, dtype=np.int8))
    for i, name in enumerate(PART_NAMES):
        taken = split(rows, 1, "north")[name].x[:, 0].tolist()
        assert taken == [row for row, part in enumerate(of) if part == i]


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ((7,), [1, 0, 0]),  # nothing can be held back
        ((5, 5), [0.5, 0, 0.5]),  # a test says more than a validation
        ((5, 5, 5), [0.33, 0.33, 0.33]),
        ((5, 5, 5, 5, 5), [0.6, 0.2, 0.2]),
        ((50, 25, 25), [0.5, 0.25, 0.25]),  # the largest trains, wherever it was drawn to
        ((80, *[1] * 20), [0.8, 0.1, 0.1]),
    ],
)
def test_of_few_or_unequal_groups_the_nearest_parts_are_made(sizes, wanted):
    for seed in range(1, 6):
        assert shares(grouped(*sizes), seed) == wanted


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [((7,), [1, 0, 0]), ((5, 5), [0.5, 0, 0.5]), ((1,) * 10, [0.6, 0.2, 0.2])],
)
def test_rows_of_one_time_stay_together(sizes, wanted):
    assert shares(timed(*sizes)) == wanted


def test_unequal_groups_make_folds_as_equal_as_whole_groups_allow():
    folds = folds_of(grouped(40, 30, 20, 10, 10, 10), 3)
    assert sorted(map(len, folds)) == [40, 40, 40]


@given(numbers, st.randoms())
def test_folds_of_groups_do_not_depend_on_the_order_of_rows(groups, random):
    rows = table(range(len(groups)), np.array(groups))
    order = list(range(len(groups)))
    random.shuffle(order)
    assert folds_of(rows, 3) == folds_of(rows.take(np.array(order)), 3)


@pytest.mark.parametrize("beside", [{"times": np.arange(4.0)}, {"parts": np.zeros(4, np.int8)}])
def test_rows_that_bring_a_split_are_dealt_into_no_folds(beside):
    rows = replace(table(range(4)), **beside)
    with pytest.raises(ClientFailure, match="bring a split of their own"):
        split_fold(rows, 1, "north", Fold(0, 2))


@given(st.integers(5, 80), st.integers(0, 99))
def test_folds_that_will_be_combined_deal_all_rows_but_those_of_the_test_part(count, seed):
    rows = table(range(count))
    tested = set(split(rows, seed, "north")["test"].x[:, 0])
    folds = [split_fold(rows, seed, "north", Fold(i, 3, leaves_test=True)) for i in range(3)]
    for parts in folds:
        seen = [value for part in parts.values() for value in part.x[:, 0]]
        assert sorted(seen) == sorted(set(range(count)) - tested)
    scored = [value for parts in folds for value in parts["test"].x[:, 0]]
    assert sorted(scored) == sorted(set(range(count)) - tested)
