"""What a request's body may say, and what is refused of it, by a small schema that has every kind."""

import json

import numpy as np
import pytest

from calyx.data.schema import Column, Schema
from calyx.serving.refusals import Refused
from calyx.serving.rows import RowReader

SCHEMA = Schema(
    (
        Column("model_config", "numeric", low=0, high=100, unit="kg"),
        Column("Größe, cm", "numeric", missing_codes=(0.0,), may_be_missing=True, low=40),
        Column(
            "job",
            "categorical",
            categories=(0.0, 1.0, 2.0),
            words=("nurse", "ärztin", 'a "b" \\ c'),
            unknown="refuse",
        ),
        Column("stage", "ordinal", categories=(0.0, 1.0), words=("3", "4"), unknown="missing"),
        Column("code", "categorical", categories=(1.0, 2.5), may_be_missing=True),
    ),
    ("no", "yes"),
)
GOOD = {"model_config": 5, "Größe, cm": 170.5, "job": "nurse", "stage": 4, "code": 2.5}
READER = RowReader(SCHEMA, batch_rows=3)


def body(*rows: object) -> bytes:
    return json.dumps({"rows": rows}).encode()


def refuse(data: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        READER.read_json(data)
    return caught.value


def with_raw(column: str, raw: str) -> bytes:
    """A body of one good row but for one cell, which is written as it stands."""
    cells = [
        f"{json.dumps(name)}: {raw if name == column else json.dumps(value)}"
        for name, value in GOOD.items()
    ]
    return ('{"rows": [{' + ", ".join(cells) + "}]}").encode()


def test_cells_become_numbers_and_codes_in_the_order_of_the_schema() -> None:
    backwards = dict(reversed(GOOD.items()))
    coded = GOOD | {"job": 1, "stage": "3", "code": None, "Größe, cm": 0}
    escaped = GOOD | {"job": 'a "b" \\ c', "stage": "9", "code": 7}
    read = READER.read_json(body(backwards, coded, escaped))
    expected = [[5, 170.5, 0, 1, 2.5], [5, 0, 1, 0, np.nan], [5, 170.5, 2, -1, 7]]
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize(
    ("column", "raw", "what"),
    [
        ("model_config", "1e400", "from 0 to 100 kg"),
        ("model_config", "1" + "0" * 400, "from 0 to 100 kg"),
        ("model_config", "NaN", "from 0 to 100 kg"),
        ("model_config", "-Infinity", "from 0 to 100 kg"),
        ("model_config", '"12"', "from 0 to 100 kg"),
        ("model_config", "true", "from 0 to 100 kg"),
        ("model_config", "[[1]]", "from 0 to 100 kg"),
        ("model_config", "100.5", "from 0 to 100 kg"),
        ("model_config", "null", "missing, and may not be"),
        ("Größe, cm", "39.9", "at least 40"),
        ("job", '"Nurse"', "one of nurse, ärztin"),
        ("job", "3", "one of nurse, ärztin"),
        ("job", "false", "one of nurse, ärztin"),
        ("code", '"1"', "one of 1 and 2.5, or null where it is missing"),
    ],
)
def test_a_cell_that_the_schema_does_not_allow_is_named_with_what_is_allowed(
    column: str, raw: str, what: str
) -> None:
    refused = refuse(with_raw(column, raw))
    assert refused.status == 422
    (problem,) = refused.problems
    assert (problem.row, problem.column) == (0, column)
    assert what in problem.what


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b'{"rows": [', 400),
        (b'{"rows": ' + b"[" * 100_000, 400),
        (body(GOOD)[:-1] + b', "rows": []}', 400),
        (with_raw("model_config", "1").replace(b'"job"', b'"model_config": 2, "job"'), 400),
        (with_raw("model_config", "1").replace(b'"job"', b'"\\u006aob": "nurse", "job"'), 400),
        (b"[]", 422),
        (b'{"rows": []}', 422),
        (b'{"rows": [1]}', 422),
        (b'{"rows": [{}], "more": 1}', 422),
        (body(GOOD, GOOD, GOOD, GOOD), 413),
        (b'{"rows": [{' + b'"a": 1, ' * 10_000 + b'"b": 1}]}', 413),
    ],
)
def test_a_body_that_is_no_bounded_list_of_rows_is_refused(data: bytes, status: int) -> None:
    assert refuse(data).status == status


def test_an_unknown_and_an_absent_column_are_both_named() -> None:
    row = {name: value for name, value in GOOD.items() if name != "code"} | {"cod": 1}
    told = {(p.row, p.column) for p in refuse(body(GOOD, row)).problems}
    assert told == {(1, "code"), (1, "cod")}


def test_no_more_than_twenty_problems_are_told_and_the_rest_is_counted() -> None:
    wide = RowReader(SCHEMA, batch_rows=30)
    with pytest.raises(Refused) as caught:
        wide.read_json(body(*[GOOD | {"model_config": -1} for _ in range(30)]))
    assert (len(caught.value.problems), caught.value.more_problems) == (20, 10)
    assert caught.value.problems[19].row == 19
