"""The benchmark of drift: it compares what sites sum up, and sees what is there."""

import numpy as np
import pytest

from benchmarks import drift
from calyx.seeding import rng


@pytest.mark.parametrize("least", drift.HIDING)
def test_a_large_shift_is_an_alert_and_an_unchanged_population_is_none(least):
    of = drift.Setting(3, 1000, least)
    assert drift.power("mean + 1 sd", of, 3, seed=7).alert == 1
    assert drift.false_alarms(of, 5, seed=7).alarms == 0


def test_new_holes_are_an_alert_of_their_own_column():
    assert drift.power("20 % missing", drift.Setting(2, 1000, 1), 2, seed=7).alert == 1


def test_sites_hide_their_own_small_cells_and_what_that_could_hide_is_unknown():
    """40 rows a site in 16 categories: 2 or 3 in each, so that all are hidden."""
    figures = drift.audit(rng(1, "x"), [drift.Categories()], 200, 10)
    assert sum(figures.of("x0").categories.counts) == 0
    assert figures.of("x0").categories.hidden == 200
    found = drift.power("a category of 1/16 doubles", drift.Setting(2, 200, 10), 3, seed=7)
    assert (found.told, found.unknown) == (0, 1)


def test_columns_are_drawn_as_they_are_named():
    draw = rng(1, "y")
    numbers = drift.Numbers(shift=0.5, factor=10.0, missing=0.2).draw(draw, 100_000)
    assert np.isnan(numbers).mean() == pytest.approx(0.2, abs=0.01)
    assert np.nanmean(numbers) == pytest.approx(0.5, abs=0.2)
    assert np.nanstd(numbers) == pytest.approx(10, abs=0.1)
    categories = drift.Categories(1 / 8).draw(draw, 100_000)
    assert (categories == 3).mean() == pytest.approx(1 / 8, abs=0.01)
    assert (categories == 0).mean() == pytest.approx(7 / 120, abs=0.01)
