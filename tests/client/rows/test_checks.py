"""A client's look at its own rows: what stops it, and what is only odd."""

from dataclasses import replace

import numpy as np
import pytest

from calyx.data.schema import Column, Schema, Table
from calyx.inspection.finding import LocalFinding
from calyx.wire.messages import FailureCode
from client.failures import ClientFailure
from client.rows.checks import check_table
from client.rows.part_checks import check_parts

NAN = np.nan
SCHEMA = Schema(
    (
        Column("age", "numeric", low=18, high=100),
        Column("chol", "numeric", missing_codes=(0.0,), may_be_missing=True, low=80),
        Column("sex", "categorical", categories=(0, 1)),
    ),
    ("healthy", "disease"),
)
SOUND = [[40, 200, 0], [50, 210, 1], [60, 220, 0], [70, 230, 1]]


def table(rows, labels=None) -> Table:
    x = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    y = [i % 2 for i in range(len(rows))] if labels is None else labels
    return Table(x, np.array(y, dtype=np.int64))


def changed(row: int, column: int, value: float) -> Table:
    """The sound table with one other cell."""
    rows = [list(r) for r in SOUND]
    rows[row][column] = value
    return table(rows)


def only(findings: list[LocalFinding]) -> LocalFinding:
    (finding,) = findings
    return finding


def failure(of: Table) -> ClientFailure:
    with pytest.raises(ClientFailure) as caught:
        check_table(of, SCHEMA)
    return caught.value


def test_sound_rows_give_no_findings():
    assert check_table(table(SOUND), SCHEMA) == []


def test_a_column_that_the_schema_does_not_name_is_told_and_stops_nothing():
    got = only(check_table(replace(table(SOUND), unread=("id",)), SCHEMA))
    assert (got.check, got.severity, got.column, got.count) == ("extra-column", "info", "id", 1)
    assert got.message == "id is a column that the schema does not name; it is left alone."


def test_many_columns_that_the_schema_does_not_name_are_one_finding():
    names = tuple(f"extra{i}" for i in range(6))
    got = only(check_table(replace(table(SOUND), unread=names), SCHEMA))
    assert (got.column, got.count) == (None, 6)
    assert "extra0, extra1, extra2, extra3 and 2 more" in got.message


def test_a_client_without_rows_stops():
    empty = Table(np.empty((0, 3)), np.empty(0, dtype=np.int64))
    assert failure(empty).code == FailureCode.NO_ROWS


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_stops_and_only_its_column_is_named(value):
    got = failure(changed(2, 1, value))
    assert got.code == FailureCode.INFINITE_VALUES
    assert "chol" in str(got)
    assert not any(word in str(got) for word in ("age", "60", "row 2"))


def test_no_sentence_holds_a_value_of_a_row():
    odd = table([[7, 31337.5, 5], [7, 31337.5, 5], [60, NAN, 0], [70, 230, 1]])
    findings = check_table(odd, SCHEMA)
    assert findings
    assert not any("31337" in finding.message for finding in findings)


@pytest.mark.parametrize("missing", [NAN, 0.0], ids=["nan", "code"])
def test_a_missing_value_is_told_with_its_share(missing):
    got = only(check_table(changed(0, 1, missing), SCHEMA))
    assert (got.check, got.severity, got.column, got.count) == ("missing", "info", "chol", 1)
    assert "1 of 4 rows" in got.message


@pytest.mark.parametrize(("missing", "severity"), [(2, "info"), (3, "warning"), (4, "warning")])
def test_a_column_missing_in_more_than_half_of_the_rows_is_a_warning(missing, severity):
    rows = [[age, NAN if i < missing else chol, sex] for i, (age, chol, sex) in enumerate(SOUND)]
    found = [f for f in check_table(table(rows), SCHEMA) if f.check == "missing"]
    assert only(found).severity == severity


def test_a_value_missing_where_the_schema_says_complete_is_a_warning():
    got = only(check_table(changed(0, 0, NAN), SCHEMA))
    assert (got.check, got.severity, got.column) == ("missing", "warning", "age")


@pytest.mark.parametrize(("age", "count"), [(17, 1), (18, 0), (100, 0), (101, 1)])
def test_values_outside_the_plausible_range_are_counted_and_its_ends_are_inside(age, count):
    found = check_table(changed(0, 0, age), SCHEMA)
    assert [(f.check, f.column, f.count) for f in found] == [("range", "age", 1)] * count


def test_a_code_for_missing_is_not_outside_the_range():
    assert {f.check for f in check_table(changed(0, 1, 0.0), SCHEMA)} == {"missing"}


def test_unknown_categories_are_counted():
    got = only(check_table(changed(0, 2, 2), SCHEMA))
    assert (got.check, got.severity, got.column, got.count) == (
        "unknown-category",
        "warning",
        "sex",
        1,
    )


def test_a_constant_column_is_told_by_its_name():
    got = only(check_table(table([[40, chol, sex] for _, chol, sex in SOUND]), SCHEMA))
    assert (got.check, got.severity, got.column, got.count) == ("constant", "info", "age", 1)


def test_sixty_four_constant_columns_are_one_finding():
    pixels = Schema(tuple(Column(f"p{i}", "numeric") for i in range(65)), ("a", "b"))
    x = np.ones((4, 65))
    x[:, 64] = range(4)
    got = only(check_table(table(x), pixels))
    assert (got.check, got.column, got.count) == ("constant", None, 64)
    assert len(got.message) < 100


def test_duplicate_rows_are_counted_once_for_each_repetition():
    rows = [SOUND[0], SOUND[1], SOUND[0], SOUND[0]]
    got = only(check_table(table(rows, [0, 1, 0, 0]), SCHEMA))
    assert (got.check, got.count) == ("duplicates", 2)


def test_equal_rows_are_a_warning_unless_the_task_says_which_belong_together():
    rows = table([*SOUND, SOUND[0]], [0, 1, 0, 1, 0])
    blocked = Table(rows.x, rows.y, np.arange(5))
    assert only(check_table(rows, SCHEMA)).severity == "warning"
    assert only(check_table(blocked, SCHEMA)).severity == "info"
    for whole, severity in ((rows, "warning"), (blocked, "info")):
        taken = {"train": range(4), "validation": [], "test": [4]}
        parts = {name: whole.take(np.array(rows, dtype=np.int64)) for name, rows in taken.items()}
        (told,) = [f for f in check_parts(parts) if f.check == "shared-rows"]
        assert told.severity == severity


def test_rows_with_the_same_missing_value_are_duplicates():
    rows = [[40, NAN, 0], [50, 210, 1], [40, NAN, 0], [60, 220, 1]]
    assert "duplicates" in {f.check for f in check_table(table(rows, [0, 1, 0, 1]), SCHEMA)}


def test_equal_inputs_with_another_label_are_no_duplicates():
    rows = [SOUND[0], SOUND[1], SOUND[0], SOUND[3]]
    assert check_table(table(rows, [0, 1, 1, 0]), SCHEMA) == []


@pytest.mark.parametrize(("label", "absent"), [(1, "healthy"), (0, "disease")])
def test_a_class_without_rows_is_named(label, absent):
    got = only(check_table(table(SOUND, [label] * 4), SCHEMA))
    assert (got.check, got.count) == ("classes", 1)
    assert absent in got.message
    assert SCHEMA.classes[label] not in got.message


def parts(train, validation, test) -> dict[str, Table]:
    def part(rows) -> Table:
        return Table(np.array(rows, dtype=np.float64).reshape(-1, 3), np.zeros(len(rows), np.int64))

    return {"train": part(train), "validation": part(validation), "test": part(test)}


def test_parts_without_common_rows_give_no_findings():
    assert check_parts(parts(SOUND[:2], SOUND[2:3], SOUND[3:])) == []


def test_a_row_of_two_parts_is_counted():
    got = only(check_parts(parts(SOUND[:2], SOUND[2:3], SOUND[1:2])))
    assert (got.check, got.severity, got.count) == ("shared-rows", "warning", 1)


def test_a_row_that_is_repeated_inside_one_part_is_not_shared():
    assert check_parts(parts([SOUND[0], SOUND[0]], SOUND[2:3], SOUND[3:])) == []


def test_an_empty_training_part_stops():
    with pytest.raises(ClientFailure) as caught:
        check_parts(parts([], SOUND[:1], SOUND[1:]))
    assert caught.value.code == FailureCode.NO_ROWS


def test_an_empty_validation_or_test_part_is_a_warning():
    findings = check_parts(parts(SOUND, [], []))
    assert [(f.check, f.severity) for f in findings] == [("empty-part", "warning")] * 2
    assert "validation" in findings[0].message
    assert "test" in findings[1].message
