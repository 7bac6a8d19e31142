"""Drawings of R²: a score below 0 is drawn where it is, and not at 0."""

import re

import pytest

from calyx.pages.client_charts import ClientDots, dot_plot
from calyx.pages.svg import Caption


def places(drawing, kind):
    """Where the marks of a kind lie, from left to right."""
    return [
        float(x) for x in re.findall(rf'<circle[^>]*cx="([0-9.]+)"[^>]*class="dot {kind}"', drawing)
    ] or [float(x) for x in re.findall(rf'class="dot {kind}"[^>]*cx="([0-9.]+)"', drawing)]


def test_clients_below_zero_are_apart_in_the_dot_plot():
    rows = [ClientDots(f"c{i}", None, value) for i, value in enumerate((0.5, -1.0, -3.0))]
    drawn = str(dot_plot(Caption("dots", "", ""), rows, None))
    first, second, third = places(drawn, "own")
    assert (first - second) / (second - third) == pytest.approx(1.5 / 2.0, abs=0.02)


def test_accuracies_are_drawn_between_zero_and_one_as_before():
    rows = [ClientDots(f"c{i}", None, value) for i, value in enumerate((0.0, 0.5, 1.0))]
    first, second, third = places(str(dot_plot(Caption("dots", "", ""), rows, None)), "own")
    assert second - first == pytest.approx(third - second, abs=0.2)
