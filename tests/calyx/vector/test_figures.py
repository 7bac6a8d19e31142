"""A figure is told, or its reason is."""

import math

import pytest

from calyx.vector.figures import Figures, as_row, finite_row, none_of

SOME = Figures({"loss": 0.5, "r2": None}, {"r2": "there is one row"})


@pytest.mark.parametrize("absent", [{}, {"loss": "why"}, {"r2": "why", "loss": "why"}])
def test_a_figure_without_its_reason_or_a_reason_too_many_is_refused(absent):
    with pytest.raises(ValueError, match="needs a reason"):
        Figures({"loss": 0.5, "r2": None}, absent)


def test_names_and_reasons_get_their_prefix_but_for_those_that_have_another():
    both = SOME | none_of(("personal_r2",), "nobody has one")
    named = both.with_prefix("test_", but="personal_")
    assert list(named.values) == ["test_loss", "test_r2", "personal_r2"]
    assert set(named.absent) == {"test_r2", "personal_r2"}


def test_a_figure_that_takes_anothers_place_takes_its_reason_too():
    assert (SOME | Figures({"r2": 0.9})).absent == {}


def test_a_line_has_reasons_only_where_something_is_absent():
    assert as_row(SOME) == {"loss": 0.5, "r2": None, "absent": {"r2": "there is one row"}}
    assert as_row(SOME.only(("loss",))) == {"loss": 0.5}


def test_nan_and_infinity_are_no_numbers_of_a_line():
    row = finite_row({"epoch": 3, "loss": math.nan, "size": math.inf, "absent": {"r2": "why"}})
    assert (row["loss"], row["size"], row["epoch"]) == (None, None, 3)
    assert row["absent"] == {"r2": "why", "loss": "it is not finite", "size": "it is not finite"}
    assert finite_row({"loss": 1.0}) == {"loss": 1.0}
