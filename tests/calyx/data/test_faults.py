"""Faults: each changes what it says and nothing else, the same way every time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.faults import STRENGTHS, Fault, corrupt, draw_columns, inject, parse_faults
from calyx.data.schema import Column, Schema, Table, Target
from calyx.errors import ConfigError, DataError
from calyx.seeding import rng

SCHEMA = Schema(
    (
        Column("age", "numeric", low=18, high=100),
        Column("chol", "numeric", missing_codes=(0.0,), may_be_missing=True),
        Column("sex", "categorical", categories=(0, 1)),
        Column("thal", "categorical", categories=(3, 6, 7)),
        Column("word", "text"),
    ),
    ("a", "b", "c"),
)
CLIENTS = ("north", "south")
KINDS = [*STRENGTHS, "swapped"]


def table(rows=200, blocks=None) -> Table:
    draw = rng(1, "faults-test")
    chol = np.where(draw.random(rows) < 0.1, 0, draw.normal(240, 50, rows))
    chol[draw.random(rows) < 0.1] = np.nan
    columns = [
        draw.normal(55, 9, rows),
        chol,
        draw.integers(0, 2, rows),
        draw.choice([3, 6, 7], rows),
        draw.integers(0, 50, rows),
    ]
    return Table(np.stack(columns, axis=1), draw.integers(0, 3, rows), blocks)


def fault(kind, **others) -> Fault:
    return Fault(client="north", kind=kind, **others)


def changed(before: Table, after: Table) -> np.ndarray:
    """Which cells [N, C] differ."""
    same = (before.x == after.x) | (np.isnan(before.x) & np.isnan(after.x))
    return ~same


def test_missing_takes_a_fifth_of_the_columns_values_and_nothing_else():
    before = table()
    after = inject(before, SCHEMA, fault("missing", column="chol"), 1)
    cells = changed(before, after)
    held = ~np.isnan(before.x[:, 1]) & (before.x[:, 1] != 0)
    assert cells.sum() == cells[:, 1].sum() == round(0.2 * held.sum())
    assert held[cells[:, 1]].all()  # what was missing before does not count again
    assert np.isnan(after.x[cells]).all()
    assert np.array_equal(before.y, after.y)


def test_outliers_are_ten_deviations_off_in_a_hundredth_of_the_rows():
    before = table()
    after = inject(before, SCHEMA, fault("outliers", column="age"), 1)
    cells = changed(before, after)
    assert cells.sum() == cells[:, 0].sum() == 2
    values = before.x[:, 0]
    assert np.abs(after.x[cells] - values.mean()) / values.std() == pytest.approx(10)


def test_a_code_for_missing_is_neither_far_off_nor_in_another_unit():
    before = table()
    for kind in ("outliers", "unit"):
        after = inject(before, SCHEMA, fault(kind, column="chol", strength=0.5), 1)
        codes = before.x[:, 1] == 0
        assert not changed(before, after)[codes].any()


def test_labels_are_another_class_in_a_fifth_of_the_rows():
    before = table()
    after = inject(before, SCHEMA, fault("labels"), 1)
    assert (before.y != after.y).sum() == 40
    assert set(after.y) <= {0, 1, 2}
    assert not changed(before, after).any()


def test_every_other_class_is_drawn():
    zeros = replace(table(), y=np.zeros(200, np.int64))
    after = inject(zeros, SCHEMA, fault("labels", strength=1.0), 1)
    assert set(after.y) == {1, 2}


def test_duplicates_repeat_a_twentieth_of_the_rows_with_their_blocks():
    before = table(blocks=np.arange(200) // 2)
    after = inject(before, SCHEMA, fault("duplicates"), 1)
    assert len(after) == 210
    assert not changed(before, after.take(np.arange(200))).any()
    assert after.blocks is not None
    for row in range(200, 210):
        (same,) = np.flatnonzero((before.x[:, 0] == after.x[row, 0]) & (before.y == after.y[row]))
        assert after.blocks[row] == same // 2


def test_swapped_columns_change_places_with_all_that_is_missing_in_them():
    before = table()
    after = inject(before, SCHEMA, fault("swapped", column="chol", other="age"), 1)
    assert np.array_equal(after.x[:, [1, 0, 2, 3, 4]], before.x, equal_nan=True)


def test_swapped_columns_are_drawn_within_one_kind():
    kinds = {column.name: column.kind for column in SCHEMA.columns}
    for seed in range(20):
        got = draw_columns(table(), SCHEMA, fault("swapped"), seed)
        assert got.column != got.other
        assert kinds[str(got.column)] == kinds[str(got.other)] != "text"


def test_the_second_column_is_drawn_where_only_the_first_is_named():
    got = draw_columns(table(), SCHEMA, fault("swapped", column="thal"), 1)
    assert (got.column, got.other) == ("thal", "sex")


def test_a_unit_is_a_factor():
    before = table()
    after = inject(before, SCHEMA, fault("unit", column="age"), 1)
    assert np.array_equal(after.x[:, 0], before.x[:, 0] * 10)
    assert not changed(before, after)[:, 1:].any()


def test_only_the_client_that_is_named_is_harmed():
    before = table()
    assert corrupt(before, SCHEMA, (fault("labels"),), "south", 1) is before
    assert not np.array_equal(corrupt(before, SCHEMA, (fault("labels"),), "north", 1).y, before.y)


def test_two_faults_of_one_kind_are_drawn_apart():
    before, twice = table(), (fault("labels"), fault("labels"))
    once = inject(before, SCHEMA, fault("labels"), 1)
    both = corrupt(before, SCHEMA, twice, "north", 1)
    assert (once.y != both.y).any()


def test_columns_are_drawn_by_seed():
    names = {draw_columns(table(), SCHEMA, fault("missing"), seed).column for seed in range(40)}
    assert names == {"age", "chol", "sex", "thal"}


@given(
    st.sampled_from(KINDS),
    st.integers(2, 60),
    st.integers(0, 99),
    st.one_of(st.none(), st.floats(0.001, 0.999)),
)
def test_shapes_types_and_determinism(kind, rows, seed, strength):
    before = table(60).take(np.arange(rows))
    kept = (before.x.copy(), before.y.copy())
    chosen = fault(kind, strength=None if kind == "swapped" else strength)
    try:
        one, again = (inject(before, SCHEMA, chosen, seed) for _ in range(2))
    except DataError:
        return  # nothing to change in so few rows
    assert np.array_equal(one.x, again.x, equal_nan=True)
    assert np.array_equal(one.y, again.y)
    assert (one.x.dtype, one.y.dtype, one.x.shape[1]) == (np.float64, np.int64, 5)
    assert len(one) == len(one.x) >= rows
    assert (len(one) > rows) == (kind == "duplicates")
    assert np.array_equal(before.x, kept[0], equal_nan=True)
    assert np.array_equal(before.y, kept[1])
    if kind != "duplicates":
        assert changed(before, one).any() or (before.y != one.y).any()


@pytest.mark.parametrize("kind", ["missing", "outliers", "unit", "swapped"])
def test_a_table_in_which_nothing_can_be_changed_is_told(kind):
    empty = Table(np.full((5, 5), np.nan), np.zeros(5, np.int64))
    with pytest.raises(DataError, match=f"The fault {kind} of north has nothing to change"):
        inject(empty, SCHEMA, fault(kind), 1)


def test_a_named_column_without_values_is_told():
    before = table()
    before.x[:, 0] = np.nan
    with pytest.raises(DataError, match="age"):
        inject(before, SCHEMA, fault("missing", column="age"), 1)


def test_no_faults_are_none():
    assert parse_faults(None, CLIENTS, SCHEMA) == ()
    assert parse_faults([], CLIENTS, SCHEMA) == ()


def test_a_list_of_faults_is_read():
    section = [
        {"client": "north", "kind": "labels", "strength": 0.3},
        {"client": "south", "kind": "swapped", "column": "age", "other": "chol"},
    ]
    got = parse_faults(section, CLIENTS, SCHEMA)
    assert [(f.client, f.kind, f.strength, f.other) for f in got] == [
        ("north", "labels", 0.3, None),
        ("south", "swapped", None, "chol"),
    ]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"client": "west"}, "no client west; the task has north, south"),
        ({"kind": "fire"}, "task.faults.0.kind"),
        ({"column": "weight"}, "no column weight; the task has age"),
        ({"strength": 0}, "strength"),
        ({"strength": 1.5}, "a share of missing"),
        ({"kind": "unit", "strength": 1}, "the factor of unit"),
        ({"kind": "unit", "strength": 1e9}, "the factor of unit"),
        (
            {"kind": "unit", "column": "sex"},
            "numeric or image, and sex is categorical",
        ),
        (
            {"kind": "missing", "column": "word"},
            "or ordinal, and word is text",
        ),
        ({"kind": "labels", "column": "age"}, "takes no column"),
        ({"kind": "swapped", "strength": 0.5}, "swapped has no strength"),
        ({"kind": "swapped", "column": "age", "other": "age"}, "with itself"),
        ({"kind": "swapped", "column": "age", "other": "sex"}, "two kinds"),
        ({"kind": "swapped", "other": "age"}, "goes with column"),
        ({"other": "age"}, "other is the second column of swapped"),
        ({"colour": "red"}, "does not exist"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_in_one_sentence(wrong, sentence):
    section = [{"client": "north", "kind": "missing"} | wrong]
    with pytest.raises(ConfigError, match=sentence) as caught:
        parse_faults(section, CLIENTS, SCHEMA)
    assert "task.faults" in str(caught.value)
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize("section", ["missing", {"client": "north"}, [3]])
def test_what_is_no_list_of_faults_is_refused(section):
    with pytest.raises(ConfigError, match=r"task\.faults"):
        parse_faults(section, CLIENTS, SCHEMA)


def test_a_regression_has_no_labels_to_flip():
    regression = replace(SCHEMA, classes=(), target=Target("days", 5, 2))
    with pytest.raises(ConfigError, match="predicts a number"):
        parse_faults([{"client": "north", "kind": "labels"}], CLIENTS, regression)
