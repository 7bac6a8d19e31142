"""Columns against what is known of them: ranges, and the site's last version."""

import numpy as np
import pytest

from calyx.data.schema import Column, Schema, Table
from calyx.inspection.references import (
    Reference,
    find_swapped_by_range,
    find_swapped_by_reference,
    reference_of,
    unit_by_reference,
    version_findings,
)
from calyx.seeding import rng

SCHEMA = Schema(
    (
        Column("age", "numeric", low=18, high=100),
        Column("rate", "numeric", low=50, high=220),
        Column("chol", "numeric", missing_codes=(0.0,), low=110, high=600),
        Column("cp", "categorical", categories=(1, 2, 3, 4)),
        Column("thal", "categorical", categories=(3, 6, 7)),
        Column("word", "text"),
    ),
    ("a", "b"),
)
NAMES = [column.name for column in SCHEMA.columns]


def table(purpose="references-test", rows=300) -> Table:
    draw = rng(1, purpose)
    columns = [
        draw.normal(45, 9, rows).clip(18, 100),
        draw.normal(140, 20, rows).clip(50, 220),
        draw.normal(300, 40, rows).clip(110, 600),
        draw.integers(1, 5, rows),
        draw.choice([3.0, 6.0, 7.0], rows),
        draw.integers(0, 9, rows),
    ]
    return Table(np.stack(columns, axis=1), draw.integers(0, 2, rows))


def swapped(first: str, second: str) -> Table:
    faulty = table()
    i, j = NAMES.index(first), NAMES.index(second)
    faulty.x[:, [i, j]] = faulty.x[:, [j, i]]
    return faulty


def times(name: str, factor: float) -> Table:
    faulty = table()
    faulty.x[:, NAMES.index(name)] *= factor
    return faulty


def pairs(of: Table, reference: Reference) -> list[str | None]:
    return [f.column for f in find_swapped_by_reference(of, SCHEMA, reference)]


def units(of: Table) -> list[tuple[str | None, str]]:
    known = reference_of(table("before", 1000), SCHEMA)
    return [(f.column, f.message) for f in unit_by_reference(of, SCHEMA, known)]


def test_sound_columns_are_not_told():
    known = reference_of(table("before", 1000), SCHEMA)
    assert pairs(table(), known) == []
    assert list(find_swapped_by_range(table(), SCHEMA)) == []
    assert units(table()) == []
    assert list(version_findings(table(), SCHEMA, known)) == []


@pytest.mark.parametrize(("first", "second"), [("age", "chol"), ("cp", "thal"), ("chol", "rate")])
def test_swapped_columns_are_told_by_their_quantiles(first, second):
    known = reference_of(table("before", 1000), SCHEMA)
    assert pairs(swapped(first, second), known) == [min((first, second), key=NAMES.index)]


def test_columns_that_fit_only_each_others_range_are_told_without_quantiles():
    narrow = Schema(
        (Column("day", "numeric", low=1, high=31), Column("year", "numeric", low=1990, high=2030)),
        ("a", "b"),
    )
    draw = rng(1, "dates")
    x = np.stack([draw.integers(2000, 2020, 100), draw.integers(1, 32, 100)], axis=1)
    (finding,) = find_swapped_by_range(Table(x.astype(np.float64), np.zeros(100, np.int64)), narrow)
    assert (finding.check, finding.column, finding.count) == ("swapped", "day", 100)
    assert "year" in finding.message


def test_columns_that_are_alike_are_told_apart_by_the_last_version():
    alike = Schema((Column("a", "numeric"), Column("b", "numeric")), ("a", "b"))
    x = rng(1, "alike").normal([0.0, 0.5], 1, (1000, 2))
    before = reference_of(Table(x[:500], np.zeros(500, np.int64)), alike)
    now = Table(x[500:, ::-1].copy(), np.zeros(500, np.int64))
    (finding,) = find_swapped_by_reference(now, alike, before)
    assert finding.column == "a"


def test_a_few_rows_are_told_apart_by_chance_alone_and_not_taken_for_swapped():
    alike = Schema((Column("a", "numeric"), Column("b", "numeric")), ("a", "b"))
    draw = rng(1, "few")
    for _ in range(200):
        x = draw.normal(0, 1, (50, 2))
        before, now = (Table(part, np.zeros(25, np.int64)) for part in (x[:25], x[25:]))
        assert not list(find_swapped_by_reference(now, alike, reference_of(before, alike)))


def test_another_unit_is_not_taken_for_a_swap():
    known = reference_of(table("before", 1000), SCHEMA)
    assert pairs(times("age", 10), known) == []


@pytest.mark.parametrize("factor", [10.0, 0.1, 38.67])
def test_a_column_whose_quantiles_are_all_times_a_factor_is_told(factor):
    ((column, message),) = units(times("rate", factor))
    assert column == "rate"
    assert f"{factor:.3g}" in message


def test_a_shift_that_is_no_factor_is_not_another_unit():
    shifted = table()
    shifted.x[:, 0] = shifted.x[:, 0] * 0.1 + 200
    assert units(shifted) == []


def test_values_that_are_missing_since_the_last_version_are_told():
    before = reference_of(table("before"), SCHEMA)
    now = table()
    now.x[:60, 2] = 0  # the code
    (finding,) = version_findings(now, SCHEMA, before)
    assert (finding.check, finding.column, finding.count) == ("missing-more", "chol", 60)


def test_a_few_missing_values_more_are_chance():
    before = reference_of(table("before"), SCHEMA)
    now = table()
    now.x[:6, 2] = np.nan
    assert list(version_findings(now, SCHEMA, before)) == []


def test_a_reference_holds_quantiles_without_codes_and_shares_with_them():
    own = table()
    own.x[:30, 2] = 0
    got = reference_of(own, SCHEMA)
    assert min(got.quantiles["chol"]) >= 110
    assert got.missing["chol"] == pytest.approx(0.1)
    assert (got.missing["age"], got.rows) == (0, 300)
    assert "word" not in got.quantiles


def test_a_column_that_nothing_is_known_of_is_passed_over():
    nothing = Reference({}, {}, 0)
    assert pairs(swapped("age", "chol"), nothing) == []
    assert list(unit_by_reference(times("age", 10), SCHEMA, nothing)) == []
    assert list(version_findings(table(), SCHEMA, nothing)) == []
