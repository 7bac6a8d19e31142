"""Numeric columns: each figure is that of the pooled rows, within its margin, or absent with a reason."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.surveys import NAN, asked, figures

from calyx.data.schema import Column, Schema, Table, Target
from calyx.errors import CalyxError, ConfigError
from calyx.findings.baseline import compare_figures
from calyx.findings.distribution import Uncertain, read, shortest
from calyx.findings.figures import read_sums
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.constants import fit_by_config as taken
from calyx.preprocessing.federated import fit_sums, shortcomings
from calyx.preprocessing.fitted import constants_of
from calyx.preprocessing.fitting import fit
from calyx.preprocessing.spread import outlier_bounds
from calyx.survey.blocks import ALL
from calyx.survey.places import FINEST, group, tables

FEDERATED = PreprocessingConfig(
    name="federated",
    numeric_imputation="median",
    categorical_imputation="mode",
    fill_value=0.0,
    scaling="standard",
    outliers="clip",
    iqr_factor=1.5,
)
LOCAL = replace(FEDERATED, name="local")


def schema_of(low, high, classes=("no", "yes"), target=None):
    return Schema(
        (Column("x", "numeric", low=low, high=high, may_be_missing=True),), classes, target
    )


def tables_of(sites, labels=None):
    labels = labels or [np.arange(len(site)) % 2 for site in sites]
    return [
        Table(np.asarray(site, dtype=np.float64)[:, None], np.asarray(y))
        for site, y in zip(sites, labels, strict=True)
    ]


def numbers(sites, low, high, minimum=1):
    return figures(tables_of(sites), schema=schema_of(low, high), minimum=minimum).of("x").numbers


def drawn(kind, n, rng):
    match kind:
        case "normal":
            return rng.normal(0, 1, n)
        case "skewed":
            return rng.lognormal(0, 1.5, n)
        case "flag":
            return (rng.random(n) < 0.18).astype(float)
        case "whole":
            return np.round(rng.normal(0, 3, n))
        case "zeros":
            return np.where(rng.random(n) < 0.8, 0.0, rng.integers(1, 100, n))
        case _:
            return np.full(n, 7.0)


KINDS = ("normal", "skewed", "flag", "whole", "zeros", "constant")


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**20),
    sizes=st.lists(st.integers(0, 300), min_size=2, max_size=6),
    minimum=st.sampled_from([1, 2, 5, 10, 50]),
    powers=st.tuples(st.integers(-30, 30), st.integers(0, 6)),
    holes=st.sampled_from([0.0, 0.02, 0.5]),
)
@example("normal", 1, [300, 300], 10, (0, 6), 0.02)
@example("flag", 1, [300, 300], 10, (0, 0), 0.0)
def test_every_figure_is_the_pooled_one_within_its_margin_or_absent_with_a_reason(
    kind, seed, sizes, minimum, powers, holes
):
    rng, scale = np.random.default_rng(seed), 10.0 ** powers[0]
    sites = [drawn(kind, n, rng) * scale for n in sizes]
    pooled = np.concatenate(sites)
    width = (np.ptp(pooled) if len(pooled) else 0) + scale
    low = (pooled.min() if len(pooled) else 0.0) - width * rng.random() * 10.0 ** powers[1]
    high = low + width * (1 + 2 * 10.0 ** powers[1])
    for site in sites:
        site[rng.random(len(site)) < holes] = NAN
    # Who has too few rows, or too few values, gives nothing, which `withheld` and `left` say.
    found = figures(tables_of(sites), schema=schema_of(low, high), minimum=minimum)
    told = as_json(found)["columns"]["x"]
    given_by = [site for site in sites if len(site) >= minimum]
    x = np.concatenate([*given_by, []])
    x = x[~np.isnan(x)]
    true = {}
    if len(x):
        true = {"mean": x.mean(), "sd": x.std(), "least": x.min(), "greatest": x.max()}
        true |= {"q1": np.quantile(x, 0.25), "median": np.median(x), "q3": np.quantile(x, 0.75)}
    for name in ("mean", "sd", "least", "greatest", "q1", "median", "q3"):
        if told[name] is None:
            assert told["absent"][name]
            continue
        slack = 1e-9 * x.std() + 1e-14 * max(abs(low), abs(high))
        assert abs(told[name] - true[name]) <= told["margins"].get(name, 0.0) + slack
    if told["histogram"] is not None:
        true_counts = np.histogram(x, bins=np.array(told["edges"]))[0]
        moved = found.of("x").numbers.moved
        slack = told["margins"].get("histogram", 0) + moved.joined + moved.left
        assert np.abs(true_counts - told["histogram"]).max() <= slack


@pytest.mark.parametrize("kind", KINDS[:-1])
@pytest.mark.parametrize("power", [0, 3, 6])
def test_without_small_cells_quantiles_are_within_a_hundredth_of_a_deviation_in_any_range(
    kind, power
):
    rng = np.random.default_rng(power)
    sites = [drawn(kind, 1500, rng) for _ in range(4)]
    pooled = np.concatenate(sites)
    sd = pooled.std()
    low = pooled.min() - 0.37 * sd * 10.0**power
    found = numbers(sites, low, low + sd * 10.0**power + np.ptp(pooled))
    for name, q in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        assert found.quartiles[name].value == pytest.approx(np.quantile(pooled, q), abs=0.01 * sd)
    assert found.mean == pytest.approx(pooled.mean(), abs=1e-9 * sd)
    assert found.sd == pytest.approx(sd, rel=1e-9)


def income(rng, n):
    return np.clip(rng.normal(45_000, 12_000, n), 1_000, 90_000).round()


def incomes(n=400, sites=4):
    rng = np.random.default_rng(0)
    return [income(rng, n) for _ in range(sites)]


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1e7), (-1e6, 1e6), (0.0, 1e9), (-1e10, 1e10), (0.0, 100_000.0)]
)
def test_a_median_is_told_within_its_margin_whatever_range_is_declared(low, high):
    sites = incomes()
    x = np.concatenate(sites)
    found = figures(tables_of(sites), schema=schema_of(low, high), minimum=10)
    of = found.of("x").numbers
    assert of.quartiles["median"].value == pytest.approx(np.median(x), abs=0.05 * x.std())
    assert (of.mean, of.sd) == pytest.approx((x.mean(), x.std()), rel=1e-12)
    checks = {f.check for f in find(found, schema_of(low, high))}
    assert ("wide-range" in checks) == (high - low > 200 * x.std())
    assert of.quartiles["median"].margin < 0.1 * x.std()


def test_seconds_since_1970_have_quartiles_to_the_second():
    rng = np.random.default_rng(1)
    sites = [1.7e9 + rng.integers(0, 4_000, 1000).astype(float) for _ in range(3)]
    x = np.concatenate(sites)
    found = numbers(sites, 0.0, 4e9)
    for name, q in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        told = found.quartiles[name]
        assert told.value == pytest.approx(np.quantile(x, q), abs=told.margin)
        assert told.margin < 0.02 * x.std()


def constants(sites, low, high, cfg=FEDERATED, minimum=10):
    found = figures(tables_of(sites), schema=schema_of(low, high), minimum=minimum)
    fitted = fit_sums(found, schema_of(low, high), cfg)
    return fitted.columns[0], shortcomings(found, schema_of(low, high), cfg), fitted


def pooled_fit(sites, low, high, cfg=LOCAL):
    (table,) = tables_of([np.concatenate(sites)])
    return fit(table, schema_of(low, high), cfg).columns[0]


RNG = np.random.default_rng(3)
FLAGS = [(RNG.random(80) < 0.18).astype(float) for _ in range(6)]
ONES = [1 - site for site in FLAGS]
ZEROS = [np.where(RNG.random(80) < 0.8, 0.0, RNG.integers(1, 100, 80)) for _ in range(6)]


@pytest.mark.parametrize(
    ("sites", "high"), [(FLAGS, 1.0), (ONES, 1.0), (ZEROS, 100.0), (FLAGS, 16.0), (FLAGS, 1e6)]
)
def test_a_column_of_equal_quartiles_is_bounded_neither_by_local_nor_by_federated(sites, high):
    one, _, _ = constants(sites, 0.0, high)
    local = pooled_fit(sites, 0.0, high)
    assert (one.low, one.high) == (local.low, local.high) == (-np.inf, np.inf)
    assert one.fill == local.fill == np.median(np.concatenate(sites))
    assert (one.mean, one.scale) == pytest.approx((local.mean, local.scale), rel=0.05)


@pytest.mark.parametrize("sites", [FLAGS, ONES, ZEROS])
@pytest.mark.parametrize("how", ["median", "mode"])
def test_holes_of_a_column_of_few_values_get_one_of_them(sites, how):
    cfg = replace(FEDERATED, numeric_imputation=how)
    values = np.concatenate(sites)
    assert constants(sites, 0.0, 100.0, cfg)[0].fill == np.bincount(values.astype(int)).argmax()


@pytest.mark.parametrize("high", [1e5, 1e7, 1e9, 1e10])
def test_federated_constants_are_those_of_all_rows_in_one_place_and_clients_take_them(high):
    sites = incomes()
    sites[0][:40] = NAN
    one, _, fitted = constants(sites, 0.0, high)
    local = pooled_fit(sites, 0.0, high)
    sd = np.nanstd(np.concatenate(sites))
    assert one.fill == pytest.approx(local.fill, abs=0.05 * sd)
    assert (one.low, one.high) == pytest.approx((local.low, local.high), abs=0.3 * sd)
    assert one.scale == pytest.approx(local.scale, rel=0.03)
    again = taken(schema_of(0.0, high), replace(FEDERATED, fitted=(constants_of(fitted),)))
    assert again.columns == fitted.columns


@pytest.mark.parametrize(("scale", "is_taken"), [(1e-6, True), (2e-9, True), (1e-10, False)])
def test_clients_take_the_scale_of_a_range_a_million_times_too_wide_and_none_that_blows_values_up(
    scale, is_taken
):
    cfg = replace(FEDERATED, fitted=(((0.5, None, None, 0.5, scale),),))
    if is_taken:
        assert taken(schema_of(0.0, 1.0), cfg).columns[0].scale == scale
        return
    with pytest.raises(ConfigError, match="impossible values for x"):
        taken(schema_of(0.0, 1.0), cfg)


def test_what_is_not_told_is_not_used_and_each_such_constant_is_said():
    rng = np.random.default_rng(4)
    sites = [rng.normal(50, 10, 22) for _ in range(3)]  # two cells a site
    one, sentences, _ = constants(sites, 0.0, 1e6)
    x = np.concatenate(sites)
    assert (one.low, one.high) == (-np.inf, np.inf)
    assert (one.mean, one.scale) == pytest.approx((x.mean(), x.std()), rel=1e-9)
    assert any("x has no outlier bounds" in sentence for sentence in sentences)


def test_quartiles_that_differ_by_less_than_they_may_be_off_bound_nothing():
    assert outlier_bounds(1.0, 2.0, 0.6, LOCAL) == (-np.inf, np.inf)
    assert outlier_bounds(1.0, 2.0, 0.5, LOCAL) == (-0.5, 3.5)
    assert outlier_bounds(1.0, 1.0, 0.0, LOCAL) == (-np.inf, np.inf)


def related(sites, targets, minimum=1, target=None, low=0.0, high=10.0):
    schema = schema_of(low, high, (), target or Target("cost", 100.0, 30.0))
    found = figures(tables_of(sites, targets), schema=schema, minimum=minimum)
    return found.of("x")


def with_holes(below, at=range(6)):
    """Noise that is measured of expensive rows only, at some of six sites; and the cost."""
    rng = np.random.default_rng(5)
    costs = [rng.uniform(50, 150, 60) for _ in range(6)]
    widths = [rng.uniform(0, 10, 60) for _ in range(6)]
    for i in at:
        widths[i][costs[i] < below] = NAN
    return widths, costs


@pytest.mark.parametrize("at", [range(6), range(3)])
def test_a_correlation_is_of_the_rows_that_have_both_values(at):
    widths, costs = with_holes(100.0, at)
    x, t = np.concatenate(widths), np.concatenate(costs)
    both = ~np.isnan(x)
    r = abs(np.corrcoef(x[both], t[both])[0, 1])
    assert related(widths, costs).association == pytest.approx(r, abs=1e-12)
    assert related(widths, costs, minimum=10).association == pytest.approx(r, abs=1e-12)


def test_values_outside_their_range_are_in_none_of_a_correlations_sums():
    widths, costs = with_holes(0.0)
    widths[0][:20] = 50.0
    x, t = np.concatenate(widths), np.concatenate(costs)
    r = abs(np.corrcoef(x[x <= 10], t[x <= 10])[0, 1])
    assert related(widths, costs).association == pytest.approx(r, abs=1e-12)


def test_targets_beyond_their_reach_leave_no_correlation_of_other_rows():
    widths, costs = with_holes(0.0)
    costs[0][:20] = 1e12
    found = related(widths, costs)
    assert found.association is None
    assert "beyond its reach" in found.tells.reason


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**20), st.sampled_from([1, 5, 10, 30]), st.sampled_from([0.0, 0.03, 0.5]))
def test_the_correlation_ratio_is_the_pooled_one_within_its_margin_or_absent(seed, minimum, holes):
    rng = np.random.default_rng(seed)
    labels = [(rng.random(n) < p).astype(int) for n, p in ((60, 0.5), (90, 0.05), (200, 0.3))]
    sites = [rng.normal(y * rng.uniform(0, 2), 1.0) for y in labels]
    for site, y in zip(sites, labels, strict=True):
        site[(rng.random(len(site)) < holes) & (y == 1)] = NAN
    found = figures(tables_of(sites, labels), schema=schema_of(-20, 20), minimum=minimum).of("x")
    if found.association is None:
        assert found.tells.reason
        return
    x, y = np.concatenate(sites), np.concatenate(labels)
    r = abs(np.corrcoef(x[~np.isnan(x)], y[~np.isnan(x)])[0, 1])
    assert abs(found.association - r) <= found.tells.margin + 1e-9
    assert minimum > 1 or found.tells.margin == 0


def test_sums_that_no_rows_have_are_an_error_and_are_not_cut():
    survey, total = asked(tables_of([np.arange(40.0), np.arange(40.0)]), schema_of(0, 100))
    total[f"{ALL}/class_sum"] = total[f"{ALL}/class_sum"] * np.array([9, 1], dtype=object)
    with pytest.raises(CalyxError, match="impossible"):
        read_sums(total, survey, 2)
    total[f"{ALL}/square"] = total[f"{ALL}/square"] // 9
    with pytest.raises(CalyxError, match="none of its values"):
        read_sums(total, survey, 2)


def drift(before, after, high, minimum=1):
    schema = schema_of(0.0, high)
    sides = [figures(tables_of(s), schema=schema, minimum=minimum) for s in (before, after)]
    return {d.name: d for d in compare_figures(*sides)}["x"]


@pytest.mark.parametrize("high", [1e5, 1e7, 1e10])
@pytest.mark.parametrize("minimum", [1, 10])
def test_drift_is_seen_and_raises_no_false_alarm_however_wide_the_range(high, minimum):
    rng = np.random.default_rng(6)
    before, same = incomes(), [income(rng, 400) for _ in range(4)]
    shifted = [site + 12_000 for site in same]
    assert drift(before, same, high, minimum).severity == "none"
    found = drift(before, shifted, high, minimum)
    assert found.severity == "alert"
    assert found.ks == pytest.approx(0.383, abs=0.06)  # 2·Φ(1/2) − 1
    assert found.psi_most is None or found.psi_most >= found.psi


def test_drift_that_cells_could_hide_is_unknown():
    rng = np.random.default_rng(7)
    sites = [rng.normal(50, 10, 25) for _ in range(6)]
    found = drift(sites, sites, 100.0, 10)
    assert (found.severity, found.psi) == ("unknown", None)
    assert "sites do not tell" in found.absent["psi"]
    assert found.psi_most > 0.25


def test_the_shortest_number_within_two_is_told():
    assert shortest(45302.999, 45303.001) == 45303.0
    assert shortest(-1e-9, 1e-9) == 0.0
    assert shortest(0.1249, 0.1251) == 0.125


@pytest.mark.parametrize("columns", [1, 65])
def test_wide_tables_are_told_in_fewer_counts_and_within_their_margins_too(columns):
    rng = np.random.default_rng(8)
    sites = [rng.normal(3.0, 1e-5, 500) for _ in range(4)]
    cells = [group(site, (0.0, 10.0), 10) for site in sites]
    total = np.sum([tables(of, columns) for of in cells], axis=0)
    ends = np.sum([of.open for of in cells], axis=0).tolist()
    known = read(total, (0.0, 10.0), Uncertain(*ends))
    assert total.size == (2816 if columns == 1 else 768) * 2
    for q in (0.25, 0.5, 0.75):
        told = known.quantile(q)
        assert told.value == pytest.approx(np.quantile(np.concatenate(sites), q), abs=told.margin)
        assert told.margin < 2.5e-6


@given(st.integers(0, 2**20), st.integers(1, 12), st.integers(0, 90))
@settings(max_examples=40, deadline=None)
def test_each_row_is_in_one_cell_of_at_least_the_minimum_and_no_end_is_told(seed, minimum, n):
    values = np.random.default_rng(seed).normal(50, 5, n)
    of = group(values, (0.0, 100.0), minimum)
    assert of.rows.sum() == (n if n >= minimum else 0)
    assert (of.rows >= minimum).all()
    assert (of.first <= of.last).all()
    if minimum > 1 and len(of.rows):
        assert (of.first[0], of.last[-1]) == (0, FINEST - 1)
        assert of.open == (of.rows[0], of.rows[-1])
