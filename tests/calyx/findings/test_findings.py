"""What sums over clients tell of one site alone, what is found in them, and how it is written down."""

from dataclasses import replace

import numpy as np
import pytest
from support.surveys import NAN, SCHEMA, SITES, figures, rows

from calyx.data.schema import Column, Schema, Table, Target
from calyx.data.tables import UNKNOWN
from calyx.findings.baseline import compare_figures
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find
from calyx.survey.blocks import TRAIN


def checks(tables, **options):
    return {(f.check, f.severity) for f in find(figures(tables, **options), SCHEMA)}


def test_sound_data_has_no_errors_or_warnings_but_its_codes():
    assert {severity for _, severity in checks([rows(400, i) for i in range(4)])} <= {"info"}


def test_one_label_everywhere_is_an_error():
    assert ("constant-label", "error") in checks([Table(t.x, t.y * 0) for t in SITES])


def test_a_column_that_only_one_site_has_is_an_error():
    tables = [Table(t.x.copy(), t.y) for t in SITES]
    for table in tables[1:]:
        table.x[:, 1] = NAN
    assert ("absent", "error") in checks(tables)


def test_another_unit_at_one_site_is_outside_the_range_and_an_error():
    other = Table(SITES[0].x * [10, 1, 1, 1], SITES[0].y)
    assert ("range", "error") in checks([other, *SITES[1:]], minimum=10)


def test_another_mix_of_labels_at_one_site_is_a_warning():
    sick = SITES[0].take(np.flatnonzero(SITES[0].y == 1))
    assert ("label-shift", "warning") in checks([sick, *SITES[1:]])


def test_an_undeclared_category_is_a_warning():
    table = rows(100)
    table.x[:30, 2] = 7.0
    assert ("unknown-category", "warning") in checks([table, rows(100, 1)])


def test_an_image_is_one_variable_the_mean_of_its_pixels():
    pixels = tuple(Column(f"p{i}", "image", low=0, high=1) for i in range(4))
    x = np.random.default_rng(0).random((50, 4))
    found = figures([Table(x, np.zeros(50, np.int64))] * 2, schema=Schema(pixels, ("a", "b")))
    assert [v.variable.name for v in found.variables] == ["image"]
    assert found.of("image").numbers.mean == pytest.approx(x.mean(), abs=1e-6)


def alone(column):
    """Four sites of which one alone has values of a column, or enough of them to show."""
    tables = [rows(150, seed) for seed in range(4)]
    for table in tables[1:]:
        table.x[4:, column] = NAN  # the four values left are hidden
    return tables


def test_what_one_site_alone_shows_of_a_number_is_in_no_figure():
    """Its sums over sites are that site's own count, mean, deviation and histogram."""
    found = figures(alone(0), minimum=10).of("age")
    assert (found.numbers.count, found.numbers.mean, found.numbers.sd) == (0, None, None)
    assert sum(found.numbers.histogram) == 0
    assert (found.numbers.spread, found.association) == (None, None)
    assert figures(alone(0), minimum=10, sample=TRAIN).of("age").numbers.mean is None
    assert figures(SITES, minimum=10).of("age").numbers.mean is not None


def test_what_one_site_alone_shows_of_categories_is_in_no_figure():
    tables = alone(2)
    tables[0].x[:20, 2] = 7.0
    found = figures(tables, minimum=10).of("sex")
    assert (found.categories, found.association) == (None, None)
    # Three sites hid their four values, and as many more as it takes.
    column = as_json(figures(tables, minimum=10))["columns"]["sex"]
    assert column["missing"] <= 438 <= column["missing"] + column["margins"]["missing"]
    for name in ("categories", "unknown", "category_spread", "association"):
        assert column[name] is None
        assert column["absent"][name]


def test_a_site_that_alone_shows_values_is_said_and_so_is_one_that_alone_has_any():
    found = [f for f in find(figures(alone(0), minimum=10), SCHEMA) if f.column == "age"]
    assert "single-site" in {f.check for f in found}
    assert "absent" not in {f.check for f in found}
    assert "only one site shows values of age" in " ".join(f.message for f in found)
    tables = alone(0)
    for table in tables[1:]:
        table.x[:, 0] = NAN
    found = {f.check for f in find(figures(tables, minimum=10), SCHEMA) if f.column == "age"}
    assert "absent" in found
    assert "single-site" not in found  # the graver one says it all


def test_whether_a_column_of_one_site_alone_drifted_is_unknown_and_not_passed_over():
    both = [figures(SITES, minimum=10), figures(alone(0), minimum=10)]
    drifts = {drift.name: drift for drift in compare_figures(*both)}
    assert (drifts["age"].severity, drifts["age"].psi) == ("unknown", None)
    assert "one site alone" in drifts["age"].absent["psi"]
    assert drifts["sex"].severity == "none"
    assert list(drifts) == ["age", "chol", "sex", "label"]


def lumps(*counts):
    """A column's values in the middle of 16 bins of 0 … 100, for two sites."""
    values = np.repeat((np.arange(16) + 0.5) * 100 / 16, counts)
    x = np.column_stack([values, np.full(len(values), 200.0), values * 0, values * 0])
    return figures([Table(x, (values > 50).astype(np.int64))] * 2)


def test_outliers_are_rows_in_bins_far_beyond_the_quartiles():
    bell = [0] * 16
    bell[2:5] = [30, 40, 30]
    assert lumps(*bell).of("age").numbers.outlier_share == 0.0
    bell[14] = 5  # q1 ≈ 18, q3 ≈ 26: three times their distance is reached at about 51
    share = lumps(*bell).of("age").numbers.outlier_share
    assert share == pytest.approx(5 / 105)
    assert as_json(lumps(*bell))["columns"]["age"]["outlier_share"] == share


def test_where_both_quartiles_lie_in_one_bin_no_outliers_are_told():
    spike = [0] * 16
    spike[0], spike[9] = 90, 10
    assert lumps(*spike).of("age").numbers.outlier_share is None


def test_the_share_of_rows_that_stand_twice_is_in_the_json():
    table = rows(100)
    twice = table.take(np.append(np.arange(100), np.arange(20)))
    assert as_json(figures([twice, rows(80, 5)]))["duplicates_share"] == pytest.approx(20 / 200)


def test_categories_are_named_by_their_words_where_they_have_some():
    worded = replace(SCHEMA.columns[2], words=("female", "male"))
    schema = replace(SCHEMA, columns=(*SCHEMA.columns[:2], worded, SCHEMA.columns[3]))
    named = as_json(figures(SITES, schema=schema))["columns"]["sex"]["categories"]
    plain = as_json(figures(SITES))["columns"]["sex"]["categories"]
    assert list(named) == ["female", "male"]
    assert list(plain) == ["0", "1"]
    assert list(named.values()) == list(plain.values())


def test_a_rare_class_that_a_site_hides_is_not_taken_for_a_constant_label():
    mixed, plain = rows(50, 1), rows(100, 2)
    labels = np.repeat([0, 1], [45, 5])
    tables = [Table(mixed.x, labels), Table(plain.x, np.zeros(100, dtype=np.int64))]
    found = figures(tables, minimum=10)
    assert (found.labels, found.hidden_labels, found.hidden_label_rows) == ((100, 0), 1, 50)
    assert "constant-label" not in dict(checks(tables, minimum=10))


def test_rows_that_stand_twice_and_are_hidden_do_not_hide_a_constant_label():
    plain = rows(60, 1)
    x = np.concatenate([plain.x, plain.x[:3]])
    tables = [Table(x, np.zeros(63, dtype=np.int64)), Table(plain.x, np.zeros(60, dtype=np.int64))]
    found = figures(tables, minimum=10)
    assert (found.hidden_labels, found.duplicates, found.duplicates_open) == (0, 0, 9)
    assert dict(checks(tables, minimum=10))["constant-label"] == "error"
    assert "hidden-labels" not in dict(checks(tables, minimum=10))


def test_what_no_site_gives_is_unknown_and_not_zero():
    found = as_json(figures(SITES, minimum=10_000))
    assert [found[key] for key in ("rows", "duplicates", "labels", "hidden_labels")] == [None] * 4
    assert found["absent"]["rows"] == found["absent"]["labels"] == "no site gives it"
    column = found["columns"]["chol"]
    for key in ("missing", "missing_share", "coded_missing", "absent_at", "outside", "count"):
        assert (column[key], column["absent"][key]) == (None, "no site gives it")


def test_an_item_that_no_site_gives_leaves_the_others_as_they_are():
    found = as_json(figures(SITES, allowed=("rows", "moments")))
    assert (found["rows"], found["labels"]) == (770, None)
    column = found["columns"]["age"]
    assert (column["count"], column["missing"]) == (770, None)
    assert column["mean"] == pytest.approx(np.concatenate([t.x[:, 0] for t in SITES]).mean())


@pytest.mark.parametrize(
    ("codes", "holes", "shown", "margin"), [(5, 20, 0, 9), (20, 5, 25, 9), (20, 0, 20, 0)]
)
def test_codes_that_a_site_hides_are_in_the_margin_of_their_number(codes, holes, shown, margin):
    x = rows(100, 1).x
    x[:, 1] = 200.0
    x[:codes, 1], x[codes : codes + holes, 1] = 0.0, NAN
    tables = [Table(x, SITES[0].y[:100]), Table(rows(100, 2).x, SITES[1].y[:100])]
    other = int((tables[1].x[:, 1] == 0).sum())
    assert other >= 10
    found = figures(tables, minimum=10)
    column = as_json(found)["columns"]["chol"]
    off = as_json(figures([tables[1]] * 2, minimum=10))["columns"]["chol"]
    rest, rest_off = off["coded_missing"] // 2, off["margins"].get("coded_missing", 0) // 2
    assert column["coded_missing"] - rest == shown
    assert column["margins"].get("coded_missing", 0) - rest_off == margin
    assert abs(column["coded_missing"] - codes - other) <= margin + rest_off


def test_a_regression_of_one_target_is_an_error_and_one_of_two_is_none():
    schema = Schema(SCHEMA.columns, (), Target("cost", 42.0, 1.0))
    tables = [Table(t.x, np.full(len(t), 42.5)) for t in SITES]
    found = [f for f in find(figures(tables, schema=schema), schema) if f.severity == "error"]
    assert [(f.check, f.message) for f in found] == [
        ("constant-label", "All rows of all sites have the target 42.5.")
    ]
    tables[0].y[0] += 1e-6
    assert not [f for f in find(figures(tables, schema=schema), schema) if f.severity == "error"]
    tables[0].y[0] = 1e6  # beyond what is measured of targets
    checked = {f.check for f in find(figures(tables, schema=schema), schema)}
    assert "constant-label" not in checked


def test_words_that_count_as_missing_are_in_the_margin_of_their_number_where_they_are_hidden():
    column = Column("grade", "ordinal", categories=(0.0, 1.0), may_be_missing=True)
    schema = Schema((column,), ("a", "b"))
    places = np.repeat([0.0, 1.0, UNKNOWN], [30, 25, 5])
    tables = [Table(places[:, None], np.zeros(60, dtype=np.int64))] * 2
    of = as_json(figures(tables, schema=schema, minimum=10))["columns"]["grade"]
    assert abs(of["coded_missing"] - 10) <= of["margins"]["coded_missing"]
    exact = as_json(figures(tables, schema=schema))["columns"]["grade"]
    assert (exact["coded_missing"], exact["margins"]) == (10, {})
    (told,) = [
        f for f in find(figures(tables, schema=schema), schema) if f.check == "coded-missing"
    ]
    assert (
        "10 values of grade are a code for a missing one, or none of its categories" in told.message
    )


def test_what_is_not_told_has_its_own_reason():
    values = np.append(np.linspace(40, 60, 55), np.linspace(0, 100, 5))
    x = np.column_stack([values, np.full(60, 200.0), np.zeros(60), np.zeros(60)])
    x[:8, 0] = NAN
    tables = [Table(x, np.zeros(60, dtype=np.int64))] * 2
    found = figures(tables, minimum=50)
    absent = found.of("age").numbers.absent
    assert absent["mean"] != absent["median"]
    told = [f.message for f in find(found, SCHEMA) if (f.check, f.column) == ("not-told", "age")]
    assert [absent["median"] in message for message in told] == [True, False]
    assert [absent["mean"] in message for message in told] == [False, True]
