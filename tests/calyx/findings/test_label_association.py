"""What a column tells of the label: its values, its holes, and how surely where rows are hidden."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats.contingency import association
from support.surveys import NAN, figures

from calyx.data.schema import Column, Schema, Table, Target
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find
from calyx.findings.label_association import cramer

NUMBER = Column("biopsy", "numeric", may_be_missing=True, low=0, high=20)
WORD = Column("biopsy", "categorical", may_be_missing=True, categories=(0.0, 1.0))
CLASSES = ("no", "yes")


def sites(make, count=6, rows=120):
    """Tables of one column that `make(y, draw)` fills; every second row is sick."""
    found = []
    for seed in range(count):
        draw = np.random.default_rng(seed)
        y = draw.permutation(np.arange(rows) % 2)
        found.append(Table(make(y, draw)[:, None].astype(np.float64), y))
    return found


def telling(tables, column, **options):
    schema = Schema((column,), CLASSES)
    found = figures(tables, schema=schema, minimum=10, **options)
    tells = [f for f in find(found, schema) if f.check == "tells-label"]
    return found.of(column.name), tells


def pooled(tables):
    return np.concatenate([t.x[:, 0] for t in tables]), np.concatenate([t.y for t in tables])


def test_a_column_that_is_the_label_is_a_warning():
    of, (finding,) = telling(sites(lambda y, _: y), WORD)
    assert (of.association, of.tells.margin) == (1.0, 0.0)
    assert (finding.severity, finding.column) == ("warning", "biopsy")
    assert "V 1.00" in finding.message


@pytest.mark.parametrize(
    "make",
    [
        lambda y, draw: np.clip(5 + 10 * y + draw.normal(0, 2, len(y)), 0, 20),
        lambda y, _: 1 + 0.1 * np.argsort(np.argsort(y, kind="stable")),  # an id, class by class
    ],
)
def test_a_number_that_separates_the_classes_is_a_warning(make):
    tables = sites(make)
    of, (finding,) = telling(tables, NUMBER)
    x, y = pooled(tables)
    assert of.association == pytest.approx(abs(np.corrcoef(x, y)[0, 1]), abs=1e-6)
    assert of.association > 0.85
    assert "η" in finding.message


def test_a_regressions_target_in_another_unit_is_a_warning():
    schema = Schema((Column("cents", "numeric", low=0, high=20000),), (), Target("cost", 100, 30))
    draw = np.random.default_rng(0)
    cost = [draw.normal(100, 20, 80) for _ in range(4)]
    tables = [Table(100 * c[:, None], c) for c in cost]
    (finding,) = [
        f for f in find(figures(tables, schema=schema), schema) if f.check == "tells-label"
    ]
    assert "the label cost almost wholly (|r| 1.00)" in finding.message


@pytest.mark.parametrize("column", [NUMBER, WORD])
def test_that_a_value_is_missing_for_all_healthy_is_told_though_the_values_tell_nothing(column):
    tables = sites(lambda y, draw: np.where(y == 1, draw.integers(0, 2, len(y)), NAN))
    of, (finding,) = telling(tables, column)
    assert of.marks.value == 1.0
    assert (of.association or 0.0) < 0.2
    assert finding.message.startswith("Whether biopsy is missing tells the label almost wholly")
    written = as_json(figures(tables, schema=Schema((column,), CLASSES), minimum=10))
    assert written["columns"]["biopsy"]["mark_association"] == 1.0


@pytest.mark.parametrize("column", [NUMBER, WORD])
def test_holes_of_one_class_at_one_site_only_are_in_the_figure_and_no_warning(column):
    tables = sites(lambda y, draw: draw.integers(0, 2, len(y)))
    first = tables[0]
    first.x[(first.y == 0), 0] = NAN
    of, findings = telling(tables, column)
    x, y = pooled(tables)
    table = np.array([[(np.isnan(x) & (y == k)).sum() for k in (0, 1)], [300, 360]])
    assert of.marks.value == pytest.approx(association(table, method="cramer"))
    assert findings == []


@pytest.mark.parametrize("column", [NUMBER, WORD])
def test_holes_that_each_site_hides_are_not_told_as_none(column):
    def make(y, draw):
        values = draw.integers(0, 2, len(y)).astype(float)
        values[np.flatnonzero(y == 0)[:5]] = NAN
        return values

    of, _ = telling(sites(make), column)
    assert of.marks.value is None or of.marks.margin > 0
    assert of.marks.reason is None or "no value is missing" not in of.marks.reason


def test_a_column_without_holes_or_without_a_mark_says_so():
    of, _ = telling(sites(lambda y, draw: draw.integers(0, 2, len(y))), WORD)
    assert of.marks.reason == "no value is missing"
    bare = Column("biopsy", "categorical", categories=(0.0, 1.0))
    assert telling(sites(lambda y, _: y), bare)[0].marks.reason == "models get no mark of it"


def costs(columns, make, count=4):
    schema = Schema(columns, (), Target("cost", 100, 30))
    tables = []
    for seed in range(count):
        draw = np.random.default_rng(seed)
        cost = draw.normal(100, 20, 80)
        tables.append(Table(make(cost, draw)[:, None].astype(float), cost))
    return figures(tables, schema=schema, minimum=10), schema, pooled(tables)


@pytest.mark.parametrize("column", [NUMBER, WORD])
def test_that_a_value_is_missing_where_the_target_is_low_is_told_of_a_regression(column):
    found, _, (x, y) = costs(
        (column,), lambda y, draw: np.where(y > 100, draw.integers(0, 2, len(y)), NAN)
    )
    r = abs(np.corrcoef(np.isnan(x), y)[0, 1])
    assert found.of("biopsy").marks.value == pytest.approx(r, abs=1e-6)


def test_what_categories_tell_of_a_target_is_the_correlation_ratio():
    found, schema, (x, y) = costs((WORD,), lambda y, draw: y + draw.normal(0, 10, len(y)) > 100)
    r = abs(np.corrcoef(x, y)[0, 1])  # of two groups it is |r|
    assert found.of("biopsy").association == pytest.approx(r, abs=1e-6)
    assert [f for f in find(found, schema) if f.check == "tells-label"] == []


@pytest.mark.parametrize(
    "spoil", [lambda y: np.where(np.arange(len(y)) < 3, 1e7, y), lambda y: np.round(y, -1)]
)
def test_of_a_target_beyond_its_reach_or_of_few_values_no_sums_by_group_are_told(spoil):
    schema = Schema((WORD,), (), Target("cost", 100, 30))
    draw = np.random.default_rng(0)
    tables = [
        Table(draw.integers(0, 2, (80, 1)).astype(float), spoil(draw.normal(100, 15, 80)))
        for _ in range(4)
    ]
    found = figures(tables, schema=schema, minimum=10).of("biopsy")
    assert found.association is None
    assert found.tells.reason


def test_beside_the_figure_stands_what_chance_gives_a_column_that_knows_nothing():
    """The mean square of V over draws without any association, by NumPy."""
    draw = np.random.default_rng(0)
    tables = [draw.multinomial(400, np.full(12, 1 / 12)).reshape(4, 3) for _ in range(400)]
    mean = np.mean([association(t, method="cramer") ** 2 for t in tables]) ** 0.5
    assert cramer(tables[0], 0, 4).chance == pytest.approx(mean, rel=0.05)


table = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=4)


@settings(max_examples=100, deadline=None)
@given(table, st.data())
def test_wherever_hidden_rows_are_the_figure_of_all_rows_is_within_the_margin(rows, data):
    cells = np.array(rows)
    hidden = np.array([[data.draw(st.integers(0, 6)) for _ in row] for row in rows])
    found = cramer(cells, int(hidden.sum()), len(cells))
    whole = cells + hidden
    whole = whole[whole.sum(axis=1) > 0][:, whole.sum(axis=0) > 0]
    if found.value is not None and min(whole.shape) >= 2:
        true = association(whole, method="cramer")
        assert abs(found.value - true) <= found.margin + 1e-9
    assert (found.value is None) == (found.reason is not None)
