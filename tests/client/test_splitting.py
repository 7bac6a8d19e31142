"""Folds: every row in one, equal rows in the same, whatever their order in the file."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calyx.tasks.base import Table
from client.splitting import split_fold


def table(values, blocks=None):
    x = np.array(values, dtype=np.float64).reshape(len(values), 1)
    return Table(x, np.arange(len(values)) % 2 * 0, blocks)


def folds_of(rows, k, seed=1, client="north"):
    """The test part of each fold, as sorted values."""
    return [
        sorted(split_fold(rows, seed, client, (k, i))["test"].x[:, 0].tolist()) for i in range(k)
    ]


values = st.lists(st.integers(0, 40), min_size=1, max_size=60)


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
        parts = split_fold(rows, 1, "north", (3, i))
        assert sum(map(len, parts.values())) == len(rows)
        seen = {*parts["train"].x[:, 0], *parts["validation"].x[:, 0]}
        assert not seen & set(parts["test"].x[:, 0])


def test_folds_are_of_like_size_and_differ_by_seed_and_client():
    rows = table(range(100))
    assert [len(fold) for fold in folds_of(rows, 5)] == [20] * 5
    others = [folds_of(rows, 5, seed=2), folds_of(rows, 5, client="south")]
    assert folds_of(rows, 5) not in others


def test_blocks_stay_whole():
    blocks = np.repeat(np.arange(10), 5)
    rows = table(range(50), blocks)
    for fold in folds_of(rows, 5):
        assert len({int(v) // 5 for v in fold}) == 2
        assert len(fold) == 10
