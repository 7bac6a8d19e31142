"""A cell is compared with a schema's words: as text, or as exactly the number that is declared."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.words import Places, alike, exact, show_word


@pytest.mark.parametrize(
    ("words", "cells"),
    [
        # SNOMED codes, which are one float; ICD-9; codes that look like numbers.
        (["900000000000207008", "1E2", "250.1"], {"900000000000207009": None, "100": None}),
        (["900000000000207008", "900000000000207009"], {"900000000000207009": 1}),
        ([900000000000207008, 900000000000207009], {"900000000000207009": 1}),
        (["250.1", "250.10"], {"250.1": 0, "250.10": 1, "250.100": None}),
        (["12E4", "120000"], {"12E4": 0, "120000": 1, "1.2E5": None}),
        (["1_0", "10", "inf", "Infinity", "nan", "NAN"], {"10": 1, "Infinity": 3, "NAN": 5}),
        (
            [1, 2],
            {"1": 0, "1.0": 0, "01": 0, "+1": 0, "1.": 0, " 2 ": 1, "1.01": None, "1e0": None},
        ),
        ([0.5, "half"], {"0.50": 0, "00.5": 0, "half": 1, "Half": None, ".5": None}),
        (["1"], {"1": 0, "1.0": None, "01": None, " 1": 0}),
        (["é"], {"e\u0301": 0}),
    ],
)
def test_a_cell_is_the_word_that_it_writes(words, cells):
    assert {cell: Places(words).of(cell) for cell in cells} == cells


def test_a_declared_number_may_have_the_files_decimal_mark():
    assert Places([1.5, 2], ",").of("1,50") == 0
    assert Places([1.5, 2], ",").of("2,0") == 1
    assert Places([1.5, 2], ",").of("1.5") is None


def test_words_that_no_cell_tells_apart_are_found():
    assert alike(["a", "b", "a"]) == ("a", "a")
    assert alike(["01", 1]) == ("01", "1")
    assert alike([1, 1.0]) == ("1", "1.0")
    assert alike(["é", "e\u0301"])
    assert alike(["1", "1.0", "01", "1E2", "100"]) is None
    assert alike([1e-7, "1e-07"]) is None


@given(
    st.decimals(-(10**20), 10**20, places=3, allow_nan=False), st.integers(0, 3), st.integers(0, 3)
)
def test_a_number_is_itself_with_zeros_before_and_behind(number, before, behind):
    sign, digits = ("-", f"{-number:f}") if number < 0 else ("", f"{number:f}")
    assert exact(f"{sign}{'0' * before}{digits}{'0' * behind}") == number


@given(st.integers() | st.floats(-1e20, 1e20))
def test_a_declared_number_is_shown_as_a_cell_that_is_it(word):
    assert Decimal(show_word(word)) == Decimal(repr(word))
    assert Places([word]).of(show_word(word)) == (0 if len(show_word(word)) <= 300 else None)


def test_what_would_be_the_same_number_is_told_beside():
    assert Places(["1", "x"]).nearly("1.0") == "1"
    assert Places(["1", "x"]).nearly("y") is None
