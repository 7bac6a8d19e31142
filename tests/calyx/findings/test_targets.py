"""A regression's target in the figures: counted whole, and held against nobody's rule but the schema's."""

import numpy as np
import pytest
from support.surveys import figures

from calyx.data.schema import Column, Schema, Table, Target
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find

X = Column("x", "numeric", low=-6, high=6)
WORD = Column("ward", "categorical", categories=(0.0, 1.0, 2.0))


def sites_of(costs, seed=0):
    """A number and a category beside each site's costs: the cost follows both."""
    draw, tables = np.random.default_rng(seed), []
    for y in costs:
        ward = draw.integers(0, 3, len(y)).astype(float)
        x = np.clip((y - y.mean()) / y.std() + draw.normal(0, 0.5, len(y)), -6, 6)
        tables.append(Table(np.column_stack([x, ward]), y * (1 + 0.2 * ward)))
    return tables


def schema_of(target):
    return Schema((X, WORD), (), target)


def lognormal(sites=6, rows=120, sigma=0.9):
    draw = np.random.default_rng(3)
    return [np.exp(4 + sigma * draw.normal(size=rows)) for _ in range(sites)]


def checks(found, schema, severity):
    return [(f.check, f.column) for f in find(found, schema) if f.severity == severity]


@pytest.mark.parametrize(
    ("costs", "target"),
    [
        (lognormal(), Target("cost", 55, 50)),
        (lognormal(sigma=2.5), Target("cost", 55, 50)),
        ([1.6e9 + 1e7 * c for c in lognormal()], Target("seconds", 1.6e9, 1e6)),
        ([c * 1e-3 for c in lognormal()], Target("cost", 0, 400)),  # a scale far too wide
        ([np.append(c, [5000.0] * 9) for c in lognormal()], Target("cost", 55, 50)),
        ([-c for c in lognormal()], Target("loss", -55, 50)),
    ],
    ids=["skewed", "very-skewed", "unix", "too-wide", "nine-each", "negative"],
)
def test_a_skewed_target_is_counted_whole_and_no_error(costs, target):
    """The oracle is the pooled rows; the correlations are NumPy's."""
    tables, schema = sites_of(costs), schema_of(target)
    found = figures(tables, schema=schema, minimum=10)
    y = np.concatenate([t.y for t in tables])
    told = found.of(target.name).numbers
    assert (told.count, told.below, told.above) == (len(y), 0, 0)
    assert told.mean == pytest.approx(y.mean(), rel=1e-9)
    assert told.sd == pytest.approx(y.std(), rel=1e-9)
    x, ward = np.concatenate([t.x for t in tables]).T
    assert found.of("x").association == pytest.approx(abs(np.corrcoef(x, y)[0, 1]), abs=1e-6)
    groups = [y[ward == w] for w in range(3)]
    between = sum(len(g) * (g.mean() - y.mean()) ** 2 for g in groups) / len(y)
    assert found.of("ward").association == pytest.approx((between / y.var()) ** 0.5, abs=1e-6)
    assert checks(found, schema, "error") == []
    column = as_json(found)["columns"][target.name]
    assert (column["role"], column["declared"]) == ("target", None)


def test_quartiles_of_a_skewed_target_are_within_their_margins():
    tables = sites_of(lognormal(rows=2000))
    y = np.concatenate([t.y for t in tables])
    told = figures(tables, schema=schema_of(Target("cost", 55, 50)), minimum=10).of("cost").numbers
    for name, q in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        known = told.quartiles[name]
        assert known.margin < 0.1 * y.std()
        assert known.value == pytest.approx(np.quantile(y, q), abs=known.margin)


def test_one_site_in_another_unit_is_told_of_a_target_as_of_a_column():
    costs = [np.random.default_rng(i).normal(100, 15, 200) for i in range(6)]
    schema = schema_of(Target("cost", 100, 15))
    costs[2] = costs[2] * 2
    found = figures(sites_of(costs), schema=schema, minimum=10)
    assert ("mean-shift", "cost") in checks(found, schema, "warning")
    spread, n = found.of("cost").numbers.spread, found.of("cost").numbers
    # Means are about 120, one is 240: 100 off their mean, of which 83 lie within 8 scales.
    assert 70 < spread.farthest * (n.high - n.low) < 100


def test_what_no_sum_reaches_is_a_warning_that_says_what_to_write():
    costs = [np.random.default_rng(i).normal(1.7e9, 1e6, 100) for i in range(6)]
    schema = schema_of(Target("seconds", 0, 1))
    found = figures(sites_of(costs), schema=schema, minimum=10)
    assert checks(found, schema, "error") == []
    (told,) = (f for f in find(found, schema) if f.check == "beyond-reach")
    assert (told.severity, told.column, told.count) == ("warning", "seconds", 600)
    assert "600 values of seconds" in told.message
    assert "center and scale" in told.advice


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (0.0, None, "36 values of cost lie below 0."),
        (None, 1000.0, "18 values of cost lie above 1000."),
        (0.0, 1000.0, "54 values of cost lie outside 0 … 1000 (36 below, 18 above)."),
    ],
)
def test_what_the_schema_declares_of_a_target_is_the_users_rule(low, high, sentence):
    costs = [np.append(np.linspace(1, 99, 80), [-5.0] * 12 + [2000.0] * 6) for _ in range(3)]
    schema = Schema((), (), Target("cost", 55, 50, low, high))
    tables = [Table(np.empty((len(y), 0)), y) for y in costs]
    found = figures(tables, schema=schema)
    (error,) = (f for f in find(found, schema) if f.severity == "error")
    assert (error.check, error.column, error.message) == ("range", "cost", sentence)
    assert as_json(found)["columns"]["cost"]["declared"] == [low, high]
