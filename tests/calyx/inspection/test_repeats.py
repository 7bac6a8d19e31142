"""Rows that stand twice: told where chance does not explain them."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data import row_hashes
from calyx.data.schema import Table
from calyx.inspection.repeats import repeat_findings
from calyx.seeding import rng


def table(rows=200, columns=6, values=1000) -> Table:
    draw = rng(1, "repeats-test")
    return Table(
        draw.integers(0, values, (rows, columns)).astype(np.float64), draw.integers(0, 2, rows)
    )


def repeated(of: Table, *rows: int) -> Table:
    return of.take(np.r_[np.arange(len(of)), np.array(rows, dtype=np.int64)])


def found(of: Table) -> list[tuple[str, str, int]]:
    return [(f.check, f.severity, f.count) for f in repeat_findings(of)]


def test_different_rows_are_not_told():
    assert found(table()) == []


def test_each_repetition_counts_once():
    assert found(repeated(table(), 3, 3, 9)) == [("duplicates", "warning", 3)]


def test_rows_with_the_same_hole_are_equal():
    holed = table()
    holed.x[3, 2] = np.nan
    assert found(repeated(holed, 3)) == [("duplicates", "warning", 1)]


def test_equal_rows_with_another_label_differ_in_one_column():
    other = repeated(table(), 3)
    other.y[-1] = 1 - other.y[3]
    assert found(other) == [("near-duplicates", "info", 1)]


def test_rows_that_differ_in_one_column_are_told_apart():
    near = repeated(table(), 3, 9)
    near.x[-1, 4] += 1
    assert found(near) == [("duplicates", "warning", 1), ("near-duplicates", "info", 1)]


def test_repeats_that_few_values_explain_are_not_told():
    coarse = table(rows=500, columns=3, values=4)
    assert len(np.unique(coarse.x, axis=0)) < 500
    assert found(coarse) == []


def test_equal_rows_of_a_task_with_blocks_are_no_mistake():
    twice = repeated(table(), 3)
    assert found(Table(twice.x, twice.y, np.arange(len(twice)))) == [("duplicates", "info", 1)]


@given(st.integers(0, 3))
def test_a_table_of_few_rows_is_looked_at(rows):
    assert found(table().take(np.arange(rows))) == []


def test_hashes_of_rows_are_equal_where_the_rows_and_their_labels_are():
    draw = rng(1, "row-hashes")
    x = draw.choice([0.0, -0.0, 1.0, np.nan, 1e300, 1 + 2**-52], (5000, 4))
    x[0], x[1] = [1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0]  # the same numbers, in another order
    y = draw.integers(0, 2, 5000)
    cells = np.column_stack([np.nan_to_num(x, nan=-1.0), y])
    hashes = Table(x, y).hashes
    assert len(np.unique(hashes)) == len(np.unique(cells, axis=0))
    _, rows = np.unique(cells, axis=0, return_inverse=True)
    assert len(np.unique(np.column_stack([hashes, rows.reshape(-1)]), axis=0)) == len(
        np.unique(hashes)
    )


def splitmix(bits, column):
    """splitmix64 of a cell in Python's own numbers."""
    total = (bits + (column + 1) * 0x9E3779B97F4A7C15) % 2**64
    total = (total ^ total >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    total = (total ^ total >> 27) * 0x94D049BB133111EB % 2**64
    return total ^ total >> 31


@pytest.mark.parametrize("at_once", [1, 7, 10**6])
def test_a_hash_is_the_sum_of_mixed_cells_however_many_are_read_at_once(monkeypatch, at_once):
    """Sites keep digests of hashes on disk: another hash would call their rows changed."""
    monkeypatch.setattr(row_hashes, "_CELLS_AT_ONCE", at_once)
    x = np.array([[1.5, -0.0, np.nan], [2.0, 0.0, 1e300]])
    expected = []
    for row, label in zip(x, (0, 1), strict=True):
        told = [math.nan if math.isnan(v) else v + 0.0 for v in (*row, float(label))]
        bits = [struct.unpack("<Q", struct.pack("<d", value))[0] for value in told]
        expected.append(sum(splitmix(cell, place) for place, cell in enumerate(bits)) % 2**64)
    assert Table(x, np.array([0, 1])).hashes.tolist() == expected
