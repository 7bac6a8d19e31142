"""Sites that differ from each other: one of six or one of sixty, in categories, labels, holes and means."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.surveys import NAN, figures

from calyx.data.schema import Column, Schema, Table
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find
from calyx.survey.spread import POWER_STEPS, Shares, powers, shift_of_shares

CLASSES = ("no", "yes")
SMOKER = Column("smoker", "categorical", categories=(0.0, 1.0), words=("no", "yes"))


def site(values, seed=0, y=None):
    labels = np.random.default_rng(seed).permutation(np.arange(len(values)) % 2) if y is None else y
    return Table(np.asarray(values, dtype=float)[:, None], np.asarray(labels))


def dealt(shares, rows, seed):
    """`rows` values 0, 1, … in these shares, drawn."""
    return np.random.default_rng(seed).choice(len(shares), rows, p=shares)


def shifts(tables, column, check):
    schema = Schema((column,), CLASSES)
    found = figures(tables, schema=schema, minimum=10)
    return [f for f in find(found, schema) if f.check == check], found


@pytest.mark.parametrize(("count", "rows"), [(2, 200), (6, 200), (6, 120), (60, 200)])
def test_one_site_with_yes_and_no_the_other_way_round_is_found_however_many_there_are(count, rows):
    values = [dealt([0.77, 0.23], rows, seed) for seed in range(count)]
    values[-1] = 1 - values[-1]
    (finding,), found = shifts(list(map(site, values)), SMOKER, "category-shift")
    assert (finding.severity, finding.column) == ("warning", "smoker")
    shares = np.array([v.mean() for v in values])
    shift = found.of("smoker").categories.spread[1]
    assert shift.mean == pytest.approx(shares.mean(), abs=shift.margin)
    assert shift.sd == pytest.approx(shares.std(), abs=shift.margin)
    assert shift.farthest <= abs(shares - shares.mean()).max() + 2 * shift.margin
    spread = as_json(found)["columns"]["smoker"]["category_spread"]
    assert spread["yes"]["sites"] == count


@pytest.mark.parametrize("low", [0, 1])
def test_as_a_number_of_two_values_it_is_found_too(low):
    """0 and 1, or sex as 1 and 2 and at one site as 2 and 1."""
    values = [dealt([0.77, 0.23], 200, seed) for seed in range(6)]
    values[-1] = 1 - values[-1]
    column = Column("smoker", "numeric", low=low, high=low + 1)
    (finding,), _ = shifts([site(low + v) for v in values], column, "mean-shift")
    assert finding.column == "smoker"


def test_an_ordinal_scale_counted_from_the_other_end_is_found():
    column = Column("pain", "ordinal", categories=(0.0, 1.0, 2.0, 3.0))
    values = [dealt([0.5, 0.3, 0.15, 0.05], 200, seed) for seed in range(12)]
    values[4] = 3 - values[4]
    (finding,), _ = shifts(list(map(site, values)), column, "category-shift")
    assert finding.column == "pain"


def test_a_site_whose_rows_are_all_other_is_found():
    column = Column("diet", "categorical", categories=(0.0, 1.0, 2.0), words=("a", "b", "other"))
    values = [dealt([0.5, 0.4, 0.1], 150, seed) for seed in range(8)]
    values[0] = np.full(150, 2)
    (finding,), _ = shifts(list(map(site, values)), column, "category-shift")
    assert "The share of other in diet" in finding.message


def test_one_site_of_sixty_without_any_value_is_found():
    column = Column("bmi", "numeric", may_be_missing=True, low=0, high=1)
    values = [np.random.default_rng(seed).random(100) for seed in range(60)]
    values[7] = np.full(100, NAN)
    assert shifts(list(map(site, values)), column, "unevenly-missing")[0]


def test_one_site_of_sixty_with_another_label_is_found():
    labels = [dealt([0.9, 0.1], 100, seed) for seed in range(60)]
    labels[3] = 1 - labels[3]
    tables = [site(np.full(100, 0.5), y=y) for y in labels]
    (finding,), _ = shifts(tables, Column("x", "numeric", low=0, high=1), "label-shift")
    assert "at one site at least" in finding.message


@pytest.mark.parametrize("sizes", [[60] * 6, [200] * 60, [12, 30, 400, 2000, 45, 80, 5000]])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_sites_that_are_drawn_alike_are_no_finding(sizes, share):
    for seed in range(10):
        values = [dealt([1 - share, share], n, 1000 * seed + i) for i, n in enumerate(sizes)]
        assert shifts([site(v) for v in values], SMOKER, "category-shift")[0] == []


def test_a_site_of_which_too_much_is_hidden_is_compared_with_no_other():
    column = Column("drug", "categorical", categories=tuple(map(float, range(30))))
    values = [np.r_[np.zeros(20), np.arange(1, 30), np.arange(1, 30)] for _ in range(5)]
    _, found = shifts(list(map(site, values)), column, "category-shift")
    assert found.of("drug").categories.spread[0] is None
    written = as_json(found)["columns"]["drug"]
    assert written["category_spread"] is None
    assert written["absent"]["category_spread"]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_powers_give_mean_and_deviation_and_the_farthest_is_never_overstated(values):
    shares = np.array(values)
    cells = sum(
        powers(Shares(np.array([v]), np.zeros(1), np.full(1, 100.0), 1)).reshape(8, 1)
        for v in shares
    )
    shift, step = shift_of_shares(cells, 0), 1 / POWER_STEPS
    assert shift.mean == pytest.approx(shares.mean(), abs=step)
    assert shift.sd == pytest.approx(shares.std(), abs=step)
    assert shift.farthest <= abs(shares - shares.mean()).max() + step
    assert shift.farthest >= shift.sd - step
