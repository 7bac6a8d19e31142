"""Numbers in the one way of writing that a schema says."""

import math
import re

import numpy as np
import pytest

from calyx.data.csv.numbers import no_number, number, numbers
from calyx.data.csv.rows import Dialect
from calyx.data.tables import Field, all_rows
from calyx.errors import DataError

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
        ("5 %", Dialect(), """'5 %' is no number; say unit: "%" in the schema"""),
        ("€5", Dialect(), """'€5' is no number; say unit: "€" in the schema"""),
        # Several keys at once, none of which contradicts another.
        ("1.234,5", Dialect(), """say decimal: "," and thousands: "." in the schema"""),
        (
            "1.5",
            Dialect(decimal=",", thousands="."),
            """say decimal: "." and thousands: null in the schema""",
        ),
        (
            "€1,234",
            Dialect(),
            """say unit: "€", and thousands: "," or decimal: ",", in the schema""",
        ),
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


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("45 %", "%", 45),
        ("45", "%", 45),
        ("0.45%", "%", 0.45),
        ("%45", "%", 45),
        (f"-4.5{NARROW}%", "%", -4.5),
        ("$1.50", "$", 1.5),
        ("-$5", "$", -5),
        ("$-5", "$", -5),
        ("$.50", "$", 0.5),
        ("+5e3 kg", "kg", 5000),
        ("US$ 7", "US$", 7),
        ("Rs.500", "Rs.", 500),
        ("3 10^9/L", "10^9/L", 3),
        # Two signs for one Greek letter, and two for a degree.
        ("3 \N{GREEK SMALL LETTER MU}g", "µg", 3),
        ("3 \N{MASCULINE ORDINAL INDICATOR}C", "°C", 3),
        ("5 eV", "eV", 5),
        ("\N{FULLWIDTH YEN SIGN}5", "¥", 5),
    ],
)
def test_a_unit_before_or_after_a_number_changes_nothing(text, unit, value):
    assert number(text, Dialect(), unit) == value
    assert numbers([text, None, "7"], Dialect(), unit)[[0, 2]].tolist() == [value, 7]
    if text != "45":
        assert number(text, Dialect()) is None


def test_a_unit_stands_beside_groups_of_digits_and_decimal_commas():
    german = Dialect(decimal=",", thousands=".")
    assert numbers(["1.234.567,25 €", "-€ 1.000", "3"], german, "€").tolist() == [
        1234567.25,
        -1000,
        3,
    ]
    assert number(f"12{FIXED}345{FIXED}kg", Dialect(thousands=" "), "kg") == 12345


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("5 lb", "kg"),
        ("5 KG", "kg"),
        ("5 kgs", "kg"),
        ("5 mkg", "kg"),
        ("5 kg kg", "kg"),
        ("$5$", "$"),
        ("US$5", "$"),
        ("kg", "kg"),
        ("", "%"),
        # Not half a rupee.
        ("Rs.500", "Rs"),
        # Brackets mark a loss, or an estimate.
        ("($5)", "$"),
        ("-$-5", "$"),
        # Where the number ends cannot be seen.
        ("310^9/L", "10^9/L"),
        # What may be part of a number is a unit for people only.
        ("5 1", "1"),
        ("5 e", "e"),
        ("5 -", "-"),
    ],
)
def test_another_unit_or_another_number_is_refused(text, unit):
    assert number(text, Dialect(), unit) is None
    assert math.isinf(numbers([text], Dialect(), unit)[0])


def test_a_cell_of_another_unit_is_told_with_the_one_of_the_schema(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("weight\n70 kg\n71\n150 lb\n")
    with pytest.raises(
        DataError, match=r"line 4, column weight: '150 lb' is no number in the col.*kg"
    ):
        all_rows(path, [Field("weight", unit="kg")], Dialect())
    assert "is no number in the column's unit, €" in no_number("EUR 5", Dialect(), "€")
    assert "beyond the largest number" in no_number("1e999 kg", Dialect(), "kg")
    assert 'say decimal: ","' in no_number("1,5 kg", Dialect(), "kg")


def test_words_for_missing_may_have_the_unit(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("share\n45 %\n-99 %\n")
    rows = all_rows(path, [Field("share", unit="%")], Dialect(missing=("", "-99 %")))
    assert np.isnan(rows.x[:, 0]).tolist() == [False, True]
    path.write_text("share\n45 %\n-99\n")
    with pytest.raises(DataError, match="'-99' is a number that the schema's missing writes other"):
        all_rows(path, [Field("share", unit="%")], Dialect(missing=("", "-99 %")))


def test_a_long_cell_is_judged_at_once():
    # Looked at from each of its blanks, it would take minutes.
    text = "5" + " " * 100_000 + "x"
    assert number(text, Dialect(), "kg") is None
    assert "is no number" in no_number(text, Dialect(), "kg")
