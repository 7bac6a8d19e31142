"""Numbers in the one way of writing that a schema says."""

import math
import re

import numpy as np
import pytest

from calyx.errors import DataError
from calyx.tasks.csv_numbers import no_number, number, numbers
from calyx.tasks.csv_rows import Dialect
from calyx.tasks.tables import Field, all_rows

COMMA = Dialect(decimal=",")
NARROW, FIXED = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("text", "how", "value"),
    [
        ("1.5", {}, 1.5),
        ("-.5e-3", {}, -0.0005),
        ("007", {}, 7.0),
        ("1,5", {"decimal": ","}, 1.5),
        ("3.027", {"decimal": ",", "thousands": "."}, 3027.0),
        ("1.234.567,25", {"decimal": ",", "thousands": "."}, 1234567.25),
        ("730", {"decimal": ",", "thousands": "."}, 730.0),
        ("1234", {"thousands": ","}, 1234.0),
        ("-1,234.5", {"thousands": ","}, -1234.5),
        (f"12{FIXED}345{NARROW}678", {"thousands": " "}, 12345678.0),
        ("1'234", {"thousands": "'"}, 1234.0),
        ("1\N{RIGHT SINGLE QUOTATION MARK}234", {"thousands": "'"}, 1234.0),
    ],
)
def test_a_number_is_what_it_says_in_its_dialect(text, how, value):
    assert number(text, Dialect(**how)) == value
    assert numbers([text, None], Dialect(**how))[0] == value
    assert math.isnan(numbers([text, None], Dialect(**how))[1])


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("1_0", {}),
        ("0x1F", {}),
        ("inf", {}),
        ("nan", {}),
        ("1e999", {}),
        ("1,5", {}),
        ("1,234", {}),
        ("٣", {}),
        ("", {}),
        ("3.027", {"decimal": ","}),
        ("1.5", {"decimal": ",", "thousands": "."}),
        ("1,5", {"thousands": ","}),
        ("0,123", {"thousands": ","}),
        ("1,00,000", {"thousands": ","}),
        ("1234,567", {"thousands": ","}),
        ("1,234.567,8", {"thousands": ","}),
        ("1,2345", {"thousands": ","}),
    ],
)
def test_a_text_that_could_be_another_number_is_none(text, how):
    assert number(text, Dialect(**how)) is None
    assert math.isinf(numbers(["1", text], Dialect(**how))[1])


@pytest.mark.parametrize(
    ("text", "dialect", "words"),
    [
        (
            "3.027",
            COMMA,
            """'3.027' is no number with decimal: ","; say thousands: "." or decimal: ".\"""",
        ),
        ("1,5", Dialect(), """'1,5' is no number; say decimal: "," in the schema"""),
        (
            f"1{FIXED}234",
            Dialect(),
            """'1?234' (it holds a no-break space, U+00A0) is no number; say thousands: " " """,
        ),
        ("\N{MINUS SIGN}5", Dialect(), "(it holds a minus sign, U+2212) is no number"),
        ("5 %", Dialect(), "is no number; write the number alone"),
        ("€5", Dialect(), "'€5' is no number; write the number alone"),
        # Without its sign the number would be another one.
        ("(5)", Dialect(), "'(5)' is no number; mend it"),
        ("5-", Dialect(), "'5-' is no number; mend it"),
        ("<5", Dialect(), "'<5' is no number; mend it"),
        ("1e999", Dialect(), "is beyond the largest number"),
        ("unknown", Dialect(), "is no number; mend it, or list it under `missing`"),
    ],
)
def test_what_is_no_number_is_shown_with_the_key_that_would_read_it(text, dialect, words):
    said = no_number(text, dialect)
    assert words in said
    assert said.isprintable()


@pytest.mark.parametrize("columns", [["ferritin"], ["x", "ferritin"]])
def test_a_dot_beside_decimal_commas_is_refused_with_its_line(tmp_path, columns):
    path = tmp_path / "a.csv"
    path.write_text("x;ferritin;sick\n1;197;no\n\n2;3.027;yes\n")
    dialect = Dialect(delimiter=";", decimal=",")
    with pytest.raises(DataError, match=re.escape("a.csv, line 4, column ferritin: '3.027' is no")):
        all_rows(path, [Field(name) for name in columns], dialect)


def test_a_number_that_is_missing_in_another_way_of_writing_is_refused(tmp_path):
    # A column of whole numbers with holes is written -99.0 by pandas.
    path = tmp_path / "a.csv"
    path.write_text("age\n51\n-99\n-99.0\n")
    with pytest.raises(
        DataError, match=r"line 4, column age: '-99.0' is a number that the schema's"
    ):
        all_rows(path, [Field("age")], Dialect(missing=("", "-99")))
    rows = all_rows(path, [Field("age")], Dialect(missing=("", "-99", "-99.0")))
    assert np.isnan(rows.x[:, 0]).tolist() == [False, True, True]
