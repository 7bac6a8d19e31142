"""In which cell of the release's baseline a value lies, and what is unusual there."""

import numpy as np
import pytest
from support.populations import SCHEMA, draw_patients, make_population

from calyx.releases.baseline import Baseline, ColumnBaseline
from calyx.serving.drift_counts import DriftCounts
from calyx.serving.population import read_population
from calyx.serving.unusual import find_unusual

POPULATION = make_population()
NAMES = [of.name for of in POPULATION.known]
USUAL = draw_patients(np.random.default_rng(0), 1)[0]


def _with(**values):
    row = USUAL.copy()
    for name, value in values.items():
        row[[c.name for c in SCHEMA.columns].index(name)] = value
    return row[None]


def _cell(name, value):
    of = POPULATION.known[NAMES.index(name)]
    return int(POPULATION.find_cells(_with(**{name: value}))[0, NAMES.index(name)]) - of.start


@pytest.mark.parametrize(
    ("name", "value", "cell"),
    [
        ("x0", 0.0, 0),
        ("x0", 9.999, 0),
        ("x0", 10.0, 1),  # an edge begins the next bin
        ("x0", 100.0, 9),  # the range's end belongs to it
        ("x0", 100.001, 10),  # outside
        ("x0", -0.001, 10),
        ("x0", np.nan, 11),  # missing
        ("code", -1.0, 3),  # the code for "missing", and nothing beside it
        ("code", -0.999, 2),
        ("kind", 3.0, 0),  # in the schema's order, not by size
        ("kind", 1.0, 1),
        ("kind", 1.5, 3),
        ("grade", 1.5, 3),  # an ordinal column has no undeclared category: it is missing
    ],
)
def test_a_value_lies_in_the_cell_that_says_so(name, value, cell):
    """Bins are closed below, the last one at both ends; a code is one number."""
    assert _cell(name, value) == cell


@pytest.mark.parametrize(
    ("values", "unusual"),
    [
        ({}, ()),
        ({"x0": 15.0}, ("x0",)),  # bins 0 to 2 are empty, and 20 is 25 from the mean, beyond 3 × 8
        ({"x0": 25.0}, ()),  # the bin beside it is full
        ({"x0": 85.0, "x3": 5.0}, ("x0", "x3")),
        ({"x0": 65.0}, ()),
        ({"x0": 101.0}, ("x0",)),
        ({"x0": np.nan}, ()),
        ({"kind": 7.0}, ("kind",)),  # 40 of 10,000
        ({"kind": 8.0}, ("kind",)),
        ({"grade": 2.0}, ()),  # none are told, and 1,000 hidden
        ({"hollow": 5.0}, ()),  # nothing is known of it
    ],
)
def test_what_hardly_any_row_had_is_unusual_and_unknown_is_not(values, unusual):
    """At most 1 in 200 with the two bins beside, and beyond three standard deviations."""
    assert find_unusual(POPULATION, POPULATION.find_cells(_with(**values))) == [unusual]


def test_rows_are_counted_in_the_cells_of_the_baseline():
    """As many as there are rows in each column, however the requests were cut."""
    rows = np.concatenate([_with(x0=35.0), _with(x0=np.nan), _with(x0=45.0, kind=9.0)])
    cells = POPULATION.find_cells(rows)
    one, other = DriftCounts(POPULATION), DriftCounts(POPULATION)
    one.add(cells)
    for row in cells:
        other.add(row[None])
    counts = {(c.column, c.cell): c.count for c in one.each()}
    assert counts == {(c.column, c.cell): c.count for c in other.each()}
    assert (counts["x0", "3"], counts["x0", "4"], counts["x0", "missing"]) == (1, 1, 1)
    assert counts["kind", "outside"] == 1
    assert one.rows == other.rows == 3


def test_an_image_is_one_value_the_mean_of_its_pixels():
    """As the audit counts it."""
    from calyx.data.schema import Column, Schema

    pixels = tuple(Column(f"p{i}", "image", low=0, high=1) for i in range(4))
    of = ColumnBaseline(name="image", role="image", edges=(0.0, 0.5, 1.0), counts=(10, 10))
    population = read_population(
        Schema(pixels, ("a", "b")), Baseline(sites=2, rows=20, columns=(of,))
    )
    rows = np.array([[0.0, 0.1, 0.9, 0.8], [1.0, 0.2, 0.4, 0.6]])  # 0.45, 0.55
    assert population.find_cells(rows).tolist() == [[0], [1]]


def test_without_a_baseline_nothing_is_known():
    """And so nothing is unusual."""
    population = read_population(SCHEMA, None)
    cells = population.find_cells(_with(x0=1e9))
    assert find_unusual(population, cells) == [()]
    assert set(population.unknown) == {column.name for column in SCHEMA.columns}


def test_a_baseline_of_another_schema_is_refused():
    """Rather than counted in the wrong place."""
    with pytest.raises(ValueError, match="the baseline has no column x0"):
        read_population(SCHEMA, Baseline(sites=2, rows=10, columns=()))


def test_numbers_are_counted_as_numpy_counts_them():
    """Over bins of unequal width, with every edge among the values."""
    from calyx.data.schema import Column, Schema

    edges = (0.0, 0.1, 0.7, 1.0, 5.0)
    of = ColumnBaseline(name="x", edges=edges, counts=(1, 1, 1, 1))
    schema = Schema((Column("x", "numeric", low=0, high=5),), ("a", "b"))
    population = read_population(schema, Baseline(sites=2, rows=4, columns=(of,)))
    values = np.append(np.random.default_rng(0).uniform(0, 5, 5000), edges)
    counts = DriftCounts(population)
    counts.add(population.find_cells(values[:, None]))
    assert counts.counts.tolist() == [*np.histogram(values, edges)[0].tolist(), 0, 0]
