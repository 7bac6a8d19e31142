"""Drawings put known figures at coordinates that were worked out by hand."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from calyx.pages.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axes,
    Bar,
    Mark,
    Series,
    Spread,
    bar_chart,
    line_chart,
    spread_chart,
)
from calyx.pages.client_charts import NAMES, ROW, ClientDots, dot_plot, heat_map, level
from calyx.pages.client_charts import TOP as FIRST_ROW
from calyx.pages.svg import Caption

CAPTION = Caption("key", "A title", "A description")


def elements(drawing: Markup, kind: str) -> list[ElementTree.Element]:
    """The elements of an SVG that carry a CSS class."""
    tree = ElementTree.fromstring(drawing)
    return [one for one in tree.iter() if kind in one.get("class", "").split()]


def numbers(path: str) -> list[float]:
    """All numbers of a path."""
    return [float(word) for word in re.findall(r"-?\d+\.?\d*", path)]


def test_line_runs_from_corner_to_corner_of_the_plot() -> None:
    series = [Series("loss", "train", [(1, 2.0), (2, 1.0), (3, 0.0)])]
    (path,) = elements(line_chart(CAPTION, Axes("round"), series), "line")
    middle = [(LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2]
    assert numbers(path.get("d", "")) == [LEFT, TOP, *middle, RIGHT, BOTTOM]


def test_missing_figure_interrupts_the_line() -> None:
    points = [(1.0, 0.0), (2.0, None), (3.0, 1.0), (4.0, 0.5)]
    (path,) = elements(line_chart(CAPTION, Axes("round"), [Series("a", "b", points)]), "line")
    assert path.get("d", "").count("M") == 2
    assert path.get("d", "").count("h0") == 1


def test_best_round_is_ringed_where_its_loss_is() -> None:
    series = [Series("loss", "train", [(0, 4.0), (10, 0.0)])]
    drawing = line_chart(CAPTION, Axes("round"), series, Mark(5, 1.0, "best: round 5"))
    (ring,) = elements(drawing, "ring")
    assert float(ring.get("cx", "")) == (LEFT + RIGHT) / 2
    assert float(ring.get("cy", "")) == BOTTOM - (BOTTOM - TOP) / 4
    assert "best: round 5" in drawing


def test_names_of_lines_that_end_together_do_not_overlap() -> None:
    series = [Series(name, "train", [(0, 1.0), (1, 0.5)]) for name in ("one", "two", "three")]
    labels = elements(line_chart(CAPTION, Axes("round"), series), "label")
    places = sorted(float(label.get("y", "")) for label in labels)
    assert all(high - low >= 20 for low, high in pairwise(places))


def test_bars_are_as_long_as_their_shares() -> None:
    drawing = bar_chart(CAPTION, [Bar("a", "x", 0.25), Bar("b", "x", None), Bar("c", "x", 1.0)])
    assert [float(bar.get("width", "")) for bar in elements(drawing, "bar")] == [WIDTH / 4, WIDTH]
    assert "25.0\u202f%" in drawing


def test_band_spans_from_the_lowest_to_the_highest_client() -> None:
    spreads = [Spread(x, 0.0, 0.25, 0.5, 0.75, 1.0) for x in (1, 2)]
    drawing = spread_chart(CAPTION, Axes("round", y_percent=True), spreads)
    (whole,), (half,) = elements(drawing, "range"), elements(drawing, "quartiles")
    assert numbers(whole.get("d", "")) == [LEFT, BOTTOM, RIGHT, BOTTOM, RIGHT, TOP, LEFT, TOP]
    assert numbers(half.get("d", ""))[1::2] == [180, 180, 80, 80]


def test_1000_rounds_are_thinned_and_keep_the_one_spike() -> None:
    points = [(float(x), 10.0 if x == 517 else 1.0) for x in range(1000)]
    (path,) = elements(line_chart(CAPTION, Axes("round"), [Series("a", "b", points)]), "line")
    places = numbers(path.get("d", ""))
    assert len(places) <= 2 * 310
    assert min(places[1::2]) == TOP


def test_dots_lie_in_their_clients_row_between_the_outer_ticks() -> None:
    drawing = dot_plot(CAPTION, [ClientDots("a", 0.0, None), ClientDots("b", 1.0, 0.5)], None)
    dots = [(float(d.get("cx", "")), float(d.get("cy", ""))) for d in elements(drawing, "dot")]
    second = FIRST_ROW + 1.5 * ROW
    assert dots == [(126, FIRST_ROW + 0.5 * ROW), (311, second), (496, second)]


def test_cell_of_the_heat_map_is_at_its_row_and_label_with_its_count() -> None:
    drawing = heat_map(CAPTION, ["a", "b"], ["x", "y"], [[0, 8], [4, 0]])
    (full,) = elements(drawing, "heat8")
    width = (504 - NAMES) / 2
    assert numbers(full.get("d", ""))[:2] == [NAMES + width, FIRST_ROW + ROW / 2]
    assert [one.text for one in elements(drawing, "count")] == ["4", "8"]


def test_colours_of_counts_grow_evenly() -> None:
    assert [level(count, 8) for count in range(9)] == list(range(9))
    assert level(1, 1) == 1


def test_names_are_escaped() -> None:
    evil = '"><script>&'
    rows = [ClientDots(evil, 0.5, 0.5)]
    for drawing in (
        dot_plot(CAPTION, rows, 0.5),
        heat_map(CAPTION, [evil], [evil], [[1]]),
        bar_chart(Caption("key", evil, evil), [Bar(evil, "x", 0.5)]),
    ):
        assert "<script" not in drawing
        ElementTree.fromstring(drawing)


def test_denormal_differences_are_drawn_as_none() -> None:
    series = [Series("a", "b", [(0, 0.0), (1, 5e-324)])]
    (path,) = elements(line_chart(CAPTION, Axes("round"), series), "line")
    assert numbers(path.get("d", ""))[1] == numbers(path.get("d", ""))[3]


@pytest.mark.parametrize("percent", [False, True])
@given(ys=st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=30))
def test_any_shares_give_a_well_formed_drawing_within_the_plot(
    percent: bool, ys: list[float | None]
) -> None:
    points = [(float(x), y) for x, y in enumerate(ys)]
    drawing = line_chart(CAPTION, Axes("round", y_percent=percent), [Series("a", "b", points)])
    (path,) = elements(drawing, "line")
    places = numbers(path.get("d", "").replace("h0", ""))
    assert all(TOP - 0.1 <= y <= BOTTOM + 0.1 for y in places[1::2])
    assert all(LEFT <= x <= RIGHT for x in places[::2])


@given(ys=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5))
def test_losses_of_any_size_give_no_nan(ys: list[float]) -> None:
    points = [(float(x), y) for x, y in enumerate(ys)]
    drawing = line_chart(CAPTION, Axes("round", y_zero=True), [Series("a", "b", points)])
    assert not re.search(r"\b(nan|inf)\b", drawing)


def test_a_share_below_zero_is_drawn_at_zero_and_keeps_its_number() -> None:
    drawing = bar_chart(CAPTION, [Bar("R² of a bad model", "federated", -8.37)])
    (bar,) = elements(drawing, "federated")
    assert float(bar.get("width", "1")) == 0
    assert "-837.0" in drawing
    series = [Series("R²", "federated", [(1, -8.0), (2, 0.5), (3, 1.0)])]
    (path,) = elements(line_chart(CAPTION, Axes("round", y_percent=True), series), "line")
    assert numbers(path.get("d", ""))[:2] == [LEFT, BOTTOM]
    assert elements(dot_plot(CAPTION, [ClientDots("a", -8.0, -3.0)], -5.0), "dot")
