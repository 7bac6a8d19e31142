"""How a client's rows are split: by seed and name, in fifths, blocks whole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calyx.tasks.base import Table
from client.data import split


def table_of(blocks: list[int] | None, rows: int = 100) -> Table:
    rows = rows if blocks is None else len(blocks)
    x = np.arange(float(rows))[:, None]
    numbers = None if blocks is None else np.array(blocks, dtype=np.int64)
    return Table(x, np.zeros(rows, dtype=np.int64), numbers)


def rows_of(table: Table) -> list[int]:
    return table.x[:, 0].astype(int).tolist()


@given(
    st.one_of(st.none(), st.lists(st.integers(0, 9), min_size=1, max_size=80)), st.integers(0, 99)
)
def test_every_row_is_in_exactly_one_part(blocks, seed):
    table = table_of(blocks)
    parts = split(table, seed, "a")
    assert sorted(row for part in parts.values() for row in rows_of(part)) == list(
        range(len(table))
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=80), st.integers(0, 99))
def test_a_block_is_never_divided(blocks, seed):
    held = [set(part.blocks.tolist()) for part in split(table_of(blocks), seed, "a").values()]
    assert sum(map(len, held)) == len(set(blocks))


def test_the_parts_are_three_and_one_and_one_fifths():
    for blocks in (None, [i // 2 for i in range(100)]):
        assert [len(part) for part in split(table_of(blocks), 1, "a").values()] == [60, 20, 20]


def test_blocks_of_one_row_are_no_blocks():
    plain, blocked = split(table_of(None), 3, "a"), split(table_of(list(range(100))), 3, "a")
    assert [len(part) for part in plain.values()] == [len(part) for part in blocked.values()]


def test_a_split_comes_from_the_seed_and_the_name():
    table = table_of([i // 5 for i in range(100)])
    first = rows_of(split(table, 1, "a")["train"])
    assert first == rows_of(split(table, 1, "a")["train"])
    assert first != rows_of(split(table, 2, "a")["train"])
    assert first != rows_of(split(table, 1, "b")["train"])
