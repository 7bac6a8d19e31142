"""Rows of rare categories: hidden, of no category, and no figure behind them is sure of itself."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.surveys import NAN, figures

from calyx.data.schema import Column, Schema, Table
from calyx.findings.baseline import compare_figures
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.constants import fit_by_config as read_given
from calyx.preprocessing.federated import fit_sums, unsure_modes
from calyx.preprocessing.fitted import constants_of
from calyx.preprocessing.fitting import apply
from calyx.survey.blocks import TRAIN

DRUGS = tuple(float(i) for i in range(41))  # 0 is "none"
FEDERATED = PreprocessingConfig(
    name="federated",
    numeric_imputation="median",
    categorical_imputation="mode",
    fill_value=0.0,
    scaling="standard",
    outliers="clip",
    iqr_factor=3.0,
)


def schema_of(categories, kind="categorical", **more):
    return Schema((Column("drug", kind, categories=categories, **more),), ("no", "yes"))


def site(counts, seed=0):
    """One site's rows of {category: rows}, with labels that know nothing of it."""
    x = np.repeat(list(counts), list(counts.values())).astype(np.float64)[:, None]
    return Table(x, np.random.default_rng(seed).permutation(np.arange(len(x)) % 2))


def prescriptions(first):
    """Six sites of 60 rows: 15 without a drug, 45 dealt to the twenty from `first` on."""
    dealt = {first + j: 2 if j < 15 else 3 for j in range(20)}
    return [site({0: 15} | dealt, seed) for seed in range(6)]


JANUARY, JULY = prescriptions(1), prescriptions(21)


def drug_drift(before, after, schema, minimum=10):
    both = [figures(tables, schema=schema, minimum=minimum) for tables in (before, after)]
    return next(drift for drift in compare_figures(*both) if drift.name == "drug")


def test_twenty_drugs_that_became_twenty_others_are_no_unchanged_column():
    """All 270 rows with a drug have another one: of 41 categories one is in both."""
    schema = schema_of(DRUGS)
    found = figures(JULY, schema=schema, minimum=10)
    drug = found.of("drug").categories
    assert (drug.counts[0], sum(drug.counts), drug.hidden) == (90, 90, 270)
    drift = drug_drift(JANUARY, JULY, schema)
    assert (drift.severity, drift.psi, drift.chi2_p) == ("unknown", None, None)
    assert "270 of 360 rows are hidden" in drift.absent["psi"]
    assert drug_drift(JANUARY, JULY, schema, minimum=1).severity == "alert"
    written = as_json(found)["columns"]["drug"]
    assert (written["categories"]["0"], written["hidden_rows"]) == (90, 270)
    assert written["margins"]["missing"] == 270
    assert written["association"] is None
    assert written["absent"]["association"]
    (finding,) = [f for f in find(found, schema) if f.check == "hidden-rows"]
    assert "270 of 360 rows of drug" in finding.message


def test_of_two_hundred_postcodes_all_rows_are_hidden_and_none_is_the_commonest():
    schema = schema_of(tuple(map(float, range(200))))
    tables = [site({(7 * i + j) % 200: 1 for j in range(150)}, i) for i in range(5)]
    found = figures(tables, schema=schema, minimum=10).of("drug").categories
    assert (sum(found.counts), found.hidden, found.mode) == (0, 750, None)
    assert drug_drift(tables, tables, schema).severity == "unknown"


@pytest.mark.parametrize("new", [9.0, 1.0])
def test_a_new_category_in_nine_rows_of_each_site_is_not_none(new):
    """Undeclared (9), or declared and not seen before (1)."""
    schema = schema_of((0.0, 1.0, 2.0))
    before = [site({0: 100, 2: 100}, i) for i in range(6)]
    after = [site({0: 100, 2: 91, new: 9}, i) for i in range(6)]
    drift = drug_drift(before, after, schema)
    assert drift.severity == "unknown"
    assert drift.psi_most >= drug_drift(before, after, schema, minimum=1).psi > 0.04
    found = figures(after, schema=schema, minimum=10).of("drug").categories
    assert (found.counts[1], found.unknown) == (0, 0)
    assert found.hidden >= 54


def test_a_class_that_nine_rows_of_each_site_have_is_no_unchanged_label():
    schema = Schema((Column("x", "numeric", low=0, high=1),), ("a", "b", "c"))

    def labelled(rare):
        y = np.repeat([0, 1, 2], [100, 100 - rare, rare])
        return [Table(np.full((200, 1), 0.5), y) for _ in range(5)]

    both = [figures(labelled(rare), schema=schema, minimum=10) for rare in (0, 9)]
    drift = compare_figures(*both)[-1]
    assert (drift.name, drift.severity) == ("label", "unknown")
    assert both[1].hidden_label_rows == 5 * 100  # the nine, and a class that protects them


def test_a_sure_change_beside_hidden_rows_is_told_as_the_least_it_can_be():
    schema = schema_of((0.0, 1.0, 2.0))
    before = [site({0: 150, 1: 50, 2: 5}, i) for i in range(6)]
    after = [site({0: 50, 1: 150, 2: 5}, i) for i in range(6)]
    drift, true = (drug_drift(before, after, schema, minimum) for minimum in (10, 1))
    assert (drift.severity, true.severity) == ("alert", "alert")
    assert drift.psi <= true.psi <= drift.psi_most


counts = st.lists(st.integers(0, 40), min_size=4, max_size=4).filter(lambda row: sum(row[:3]) >= 12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(counts, min_size=2, max_size=5),
    st.lists(counts, min_size=2, max_size=5),
    st.integers(1, 12),
)
def test_whatever_is_hidden_the_truth_is_within_the_bounds(before, after, minimum):
    """Of the last of four, a value is missing; the oracle is the pooled table."""
    schema = schema_of((0.0, 1.0, 2.0), may_be_missing=True)
    places = (0.0, 1.0, 2.0, NAN)
    sides = [
        [site(dict(zip(places, row, strict=True)), i) for i, row in enumerate(part)]
        for part in (before, after)
    ]
    found = figures(sides[0], schema=schema, minimum=minimum).of("drug")
    if found.is_single:
        assert found.categories is None
        return
    true = np.sum(before, axis=0)
    for shown, rows in zip((*found.categories.counts, found.missing), true, strict=True):
        assert shown <= rows <= shown + found.categories.hidden
    assert sum(found.categories.counts) + found.missing + found.categories.hidden == true.sum()
    if found.categories.mode is not None:
        assert true[:3][int(found.categories.mode)] == true[:3].max()
    drift, exact = (drug_drift(*sides, schema, least) for least in (minimum, 1))
    if drift.severity == "none":
        assert exact.severity == "none"
    if drift.psi is not None:
        assert drift.psi <= exact.psi + 0.02
    if drift.psi_most is not None:
        assert exact.psi <= drift.psi_most + 0.02  # empty cells count as half a row


def fitted(tables, schema):
    found = figures(tables, sample=TRAIN, schema=schema, minimum=10)
    return fit_sums(found, schema, FEDERATED), list(unsure_modes(found, schema, FEDERATED))


def test_the_most_frequent_category_fills_holes_where_no_hidden_row_can_change_it():
    schema = schema_of((0.0, 1.0, 2.0), may_be_missing=True)
    shuffled = np.random.default_rng(1).permutation(300)
    sure = [site({1: 200, 2: 60, 0: 10, NAN: 30}, i).take(shuffled) for i in range(3)]
    fit, unsure = fitted(sure, schema)
    assert (fit.columns[0].fill, unsure) == (1.0, [])


@pytest.mark.parametrize(("kind", "value"), [("categorical", [0, 0, 0, 1]), ("ordinal", [0.5, 1])])
def test_else_a_missing_category_is_none_of_them_or_the_middle_rank_and_it_is_said(kind, value):
    schema = schema_of((0.0, 1.0, 2.0), kind, may_be_missing=True)
    shuffled = np.random.default_rng(1).permutation(40)
    tables = [site({0: 12, 1: 9, 2: 9, NAN: 10}, i).take(shuffled) for i in range(3)]
    fit, (finding,) = fitted(tables, schema)
    assert (finding.check, finding.column) == ("mode-unknown", "drug")
    assert apply(fit, Table(np.array([[NAN]]), np.zeros(1)))[0].tolist() == value
    again = read_given(schema, replace(FEDERATED, fitted=(constants_of(fit),)), 0)
    assert again.columns == fit.columns  # a client takes it
