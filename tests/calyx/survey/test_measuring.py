"""What a client counts of its rows, what it hides, and what sums over clients say."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.surveys import NAN, SCHEMA, SITES, asked, figures, rows, union

from calyx.data.schema import Column, Schema, Table, Target
from calyx.findings.figures import read_sums
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find
from calyx.survey.blocks import ALL, ITEMS, TRAIN, WITHHELD, Survey
from calyx.survey.measuring import measure
from calyx.survey.spread import POWER_STEPS
from calyx.survey.suppression import coarse, coarse_shares, suppress


def test_counts_and_histograms_of_sums_are_those_of_all_rows_in_one_place():
    found, pooled = figures(SITES), union(SITES)
    chol = pooled.x[:, 1]
    present = chol[(chol != 0) & ~np.isnan(chol)]
    assert (found.rows, found.sites) == (770, 4)
    assert found.labels == tuple(np.bincount(pooled.y))
    assert found.of("chol").missing == len(chol) - len(present)
    assert found.of("chol").coded == (chol == 0).sum()
    assert found.of("chol").numbers.histogram == tuple(
        np.histogram(present, bins=16, range=(50, 650))[0]
    )
    assert found.of("sex").categories.counts == tuple(np.bincount(pooled.x[:, 2].astype(int)))
    assert found.of("note").numbers is None


def test_mean_and_sd_are_the_pooled_ones():
    found, age = figures(SITES).of("age").numbers, union(SITES).x[:, 0]
    assert found.mean == pytest.approx(age.mean(), rel=1e-12)
    assert found.sd == pytest.approx(age.std(), rel=1e-11)


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.9])
def test_quantiles_are_the_pooled_ones_within_their_margin(q):
    found, age = figures(SITES).of("age").numbers, union(SITES).x[:, 0]
    told = found.quantile(q)
    assert told.value == pytest.approx(np.quantile(age, q), abs=told.margin)
    assert told.margin < 0.02 * age.std()


def test_the_other_sample_is_of_its_own_rows():
    assert figures(SITES, sample=TRAIN).rows == sum(len(site) // 2 for site in SITES)


def test_a_column_that_tells_the_label_is_associated_with_it():
    found = figures(SITES)
    pooled = union(SITES)
    r = abs(np.corrcoef(pooled.x[:, 0], pooled.y)[0, 1])
    assert found.of("age").association == pytest.approx(r, abs=1e-6)
    assert found.of("sex").association < 0.2


def test_a_regressions_columns_are_correlated_with_its_target():
    schema = Schema(SCHEMA.columns, (), Target("cost", 50.0, 30.0))
    tables = [Table(t.x, t.x[:, 0] * 0.5 + 20) for t in SITES]
    assert figures(tables, schema=schema).of("age").association == pytest.approx(1.0, abs=1e-6)


def test_shares_and_their_spread_over_sites_come_from_sums_of_powers():
    found = figures(SITES)
    shares = [t.y.mean() for t in SITES]
    assert found.label_spread[1].mean == pytest.approx(np.mean(shares), abs=1 / POWER_STEPS)
    assert found.label_spread[1].sd == pytest.approx(np.std(shares), abs=1 / POWER_STEPS)
    assert (found.label_spread[1].sites, found.label_spread[1].margin) == (4, 1 / POWER_STEPS)


def test_values_outside_their_range_are_counted_and_in_no_mean():
    table = rows(100)
    table.x[:20, 0] = 1000.0
    found = figures([table, table]).of("age").numbers
    assert (found.above, found.below, found.count) == (40, 0, 160)
    assert found.mean < 100


def test_an_item_that_is_not_allowed_is_withheld_and_that_is_counted():
    survey, total = asked(SITES[:2], allowed=[i for i in ITEMS if i != "labels"])
    assert total[f"{ALL}/labels"].sum() == 0
    assert read_sums(total, survey, 2).withheld == {"labels": 2}


def test_a_share_is_of_the_rows_of_the_sites_that_tell_its_count_or_is_not_told():
    survey, total = asked(SITES[:3])
    for name, cells in asked([SITES[3]], allowed=[i for i in ITEMS if i != "missing"])[1].items():
        total[name] = total[name] + cells
    found = read_sums(total, survey, 4)
    assert found.of("chol").missing_share is None
    written = as_json(found)["columns"]["chol"]
    assert (written["missing_share"], "other sites" in written["absent"]["missing_share"]) == (
        None,
        True,
    )
    assert found.duplicates_share == 0.0
    small = asked([rows(9)], minimum=10)[1]  # withholds all, its rows too
    _, total = asked(SITES[:3])
    whole = read_sums({name: total[name] + small[name] for name in total}, survey, 4)
    assert whole.of("chol").missing_share == figures(SITES[:3]).of("chol").missing_share


def test_a_site_with_too_few_rows_gives_nothing():
    survey, total = asked([rows(9)], minimum=10)
    filled = {name for name, cells in total.items() if cells.any()}
    assert filled == {f"{ALL}/{WITHHELD}", f"{TRAIN}/{WITHHELD}"}
    assert len(read_sums(total, survey, 1).withheld) == len(ITEMS)


cells = st.lists(st.integers(0, 60), min_size=1, max_size=12).map(
    lambda values: np.array(values, dtype=np.int64)
)


@given(cells, st.integers(1, 20))
def test_what_is_shown_is_large_and_what_is_hidden_is_much_or_nothing(values, minimum):
    shown, is_hidden = suppress(values, minimum)
    assert ((shown == 0) | (shown >= minimum)).all()
    assert ((shown == values) | (shown == 0)).all()
    hidden = int((values - shown).sum())
    assert is_hidden == (hidden > 0)
    assert hidden == 0 or hidden >= minimum or not shown.any()


@settings(max_examples=40)
@given(st.integers(0, 9), st.integers(1, 10))
def test_how_few_values_are_missing_cannot_be_computed_from_what_a_client_sends(missing, minimum):
    """Of two tables that differ only in how many values are missing, below the minimum."""
    table = rows(60, 5)
    table.x[:, 1] = 200.0 + np.arange(60)
    holes = table.x.copy()
    holes[:missing, 1] = NAN
    if missing >= minimum:
        return
    whole, torn = (asked([Table(x, table.y)], minimum=minimum)[1] for x in (table.x, holes))
    for name in ("missing", "present"):
        assert (whole[f"{ALL}/{name}"] == torn[f"{ALL}/{name}"]).all()
    cells = torn[f"{ALL}/cells"]
    assert ((cells == 0) | (cells >= minimum)).all()
    assert torn[f"{ALL}/moved"].reshape(-1, 3)[1, 0] == (minimum - 1 if missing else 0)


def test_shares_are_made_of_rounded_counts():
    assert [coarse(n, 10) for n in (0, 4, 8, 12, 118)] == [0, 0, 10, 10, 120]


@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(2, 40), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_any_rows_can_be_measured(seed, n, bins, minimum):
    survey, total = asked([rows(n, seed)], minimum=minimum, bins=bins)
    for count in survey.counts():
        cells = total[count.name]
        assert len(cells) == count.size
        assert cells.min(initial=0) >= 0
        assert cells.max(initial=0) <= count.maximum
    find(read_sums(total, survey, 1), SCHEMA)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=10), st.integers(1, 20))
def test_shares_of_any_groups_lie_between_none_and_all(counts, minimum):
    # Ten classes of which five have one row left a negative rest, and the site failed as a whole.
    for groups in (counts, [152, 1, 78, 1, 1, 1, 1, 14, 10, 14]):
        shares = coarse_shares(np.array(groups), minimum)
        assert ((shares >= 0) & (shares <= 1)).all()


@example(8, 8, 10)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 10), st.sampled_from([1, 3, 10, 50]))
def test_whatever_the_rows_every_count_fits_its_place_in_the_vector(seed, classes, minimum):
    """A count that does not would fail the site's whole statistics."""
    draw = np.random.default_rng(seed)
    words = tuple(map(float, range(classes)))
    # Groups of one row, of just enough, and of many: what hides and protects cells is at its edges.
    y, named = (
        draw.permutation(np.repeat(range(classes), draw.choice([1, minimum, 60], classes)))
        for _ in range(2)
    )
    count = min(len(y), len(named))
    schema = Schema(
        (
            Column("a", "numeric", low=0.0, high=1e6, may_be_missing=True),
            Column("c", "categorical", categories=words, may_be_missing=True),
        ),
        tuple(map(str, range(classes))),
    )
    x = np.column_stack([draw.lognormal(0, 3, count), named[:count]])
    x[draw.random(x.shape) < draw.choice([0, 0.05, 0.5])] = NAN
    table = Table(x, y[:count])
    survey = Survey(schema, 16, (ALL, TRAIN))
    found = measure(survey, {ALL: table, TRAIN: table.take(np.arange(count // 2))}, minimum, ITEMS)
    for place in survey.counts():
        assert all(0 <= int(n) <= place.maximum for n in found[place.name]), place.name
