"""Fitting and applying: hand-computed columns, scikit-learn as oracle, and what holds for any data.

Shapes: N rows, C columns of the schema, F model inputs.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

from calyx.data.schema import Column, Schema, Table
from calyx.preprocessing.absence import unread
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.constants import recall_fit
from calyx.preprocessing.fitted import constants_of
from calyx.preprocessing.fitting import apply, feature_names, fit, num_inputs

NAN = np.nan
PLAIN = {
    "name": "local",
    "numeric_imputation": "median",
    "categorical_imputation": "mode",
    "fill_value": 0.0,
    "scaling": "none",
    "outliers": "keep",
    "iqr_factor": 3.0,
}
NUMBER = Column("age", "numeric", may_be_missing=True)
COLOUR = Column("colour", "categorical", categories=(1, 2, 5))


def config(**changes) -> PreprocessingConfig:
    return PreprocessingConfig(**(PLAIN | changes))


def table(*columns) -> Table:
    x = np.array(columns, dtype=np.float64).reshape(len(columns), -1).T
    return Table(np.ascontiguousarray(x), np.zeros(len(x), dtype=np.int64))


def schema(*columns: Column) -> Schema:
    return Schema(columns, ("no", "yes"))


def through(column: Column, train, rows, **changes) -> list[list[float]]:
    """The input [N, F] that `rows` of a single column become after fitting on `train`."""
    return apply(fit(table(train), schema(column), config(**changes)), table(rows)).tolist()


def test_a_missing_number_becomes_the_median_and_is_marked():
    assert through(NUMBER, [1, 2, 9, NAN], [NAN, 4]) == [[2, 1], [4, 0]]


def test_the_mode_and_the_constant_can_take_the_medians_place():
    assert through(NUMBER, [1, 1, 3, 4, 5], [NAN], numeric_imputation="mode") == [[1, 1]]
    constant = {"numeric_imputation": "constant", "fill_value": -7.0}
    assert through(NUMBER, [1, 1, 3], [NAN], **constant) == [[-7, 1]]


def test_a_code_for_missing_is_treated_as_missing():
    column = Column("chol", "numeric", missing_codes=(0.0, -9.0), may_be_missing=True)
    assert through(column, [0, 200, 240, -9], [0, -9, NAN, 210]) == [
        [220, 1],
        [220, 1],
        [220, 1],
        [210, 0],
    ]


def test_standard_scaling_gives_mean_zero_and_variance_one_of_the_imputed_training_rows():
    # Imputed 1, 2, 3, 2: mean 2, variance 1/2.
    got = through(NUMBER, [1, 2, 3, NAN], [1, 2, 3, NAN], scaling="standard")
    root = 2**0.5
    assert np.array(got) == pytest.approx(np.array([[-root, 0], [0, 0], [root, 0], [0, 1]]))


def test_a_categorical_value_becomes_one_hot_in_the_order_of_the_schema():
    assert through(COLOUR, [1, 2], [5, 1]) == [[0, 0, 1], [1, 0, 0]]


def test_an_unknown_category_becomes_zeros_only():
    assert through(COLOUR, [1, 2], [3, -1]) == [[0, 0, 0], [0, 0, 0]]


def test_a_missing_category_becomes_the_commonest_and_is_marked():
    column = Column("colour", "categorical", categories=(1, 2, 5), may_be_missing=True)
    assert through(column, [5, 5, 1, NAN], [NAN, 1]) == [[0, 0, 1, 1], [1, 0, 0, 0]]


# Quartiles 1.25 and 3.75, interquartile range 2.5: with a factor of 3 from −6.25 to 11.25.
SKEWED = [0, 1, 2, 3, 4, 100]


def test_outliers_are_clipped_to_the_quartiles_and_their_range():
    column = Column("dose", "numeric")
    got = through(column, SKEWED, [100, -100, 4], outliers="clip")
    assert got == [[11.25], [-6.25], [4]]


def test_outliers_are_flagged_and_left_as_they_are():
    column = Column("dose", "numeric")
    got = through(column, SKEWED, [100, -100, 4], outliers="flag")
    assert got == [[100, 1], [-100, 1], [4, 0]]


def test_an_imputed_value_is_never_flagged_as_an_outlier():
    how = {"outliers": "flag", "numeric_imputation": "constant", "fill_value": -1000.0}
    assert through(NUMBER, SKEWED, [NAN, 100], **how) == [[-1000, 0, 1], [100, 1, 0]]


@pytest.mark.parametrize("outliers", ["clip", "flag"])
def test_a_column_with_equal_quartiles_is_not_bounded(outliers):
    got = through(Column("dose", "numeric"), [0, 0, 0, 0, 7], [7, -3], outliers=outliers)
    assert [row[0] for row in got] == [7, -3]
    assert all(row[1:] in ([], [0]) for row in got)


def test_an_outlier_is_clipped_before_the_mean_is_taken():
    fitted = fit(table(SKEWED), schema(Column("d", "numeric")), config(outliers="clip"))
    assert (fitted.columns[0].low, fitted.columns[0].high) == (-6.25, 11.25)
    scaled = config(outliers="clip", scaling="standard")
    mean = fit(table(SKEWED), schema(Column("d", "numeric")), scaled).columns[0].mean
    assert mean == pytest.approx((0 + 1 + 2 + 3 + 4 + 11.25) / 6)


@pytest.mark.parametrize("train", [[NAN, NAN], [70, 70], [70, NAN], [70]])
def test_a_number_of_no_known_spread_is_scaled_by_its_declared_range(train):
    """Half of 20 … 120 is one unit: 120 is the middle 70 and 50 more."""
    column = Column("weight", "numeric", low=20, high=120)
    assert through(column, train, [NAN, 70, 120], scaling="standard") == [[0], [0], [1]]


@pytest.mark.parametrize("train", [[NAN, NAN], [60, 60], [60, NAN], [0.3, 0.1 + 0.2, 0.3]])
@pytest.mark.parametrize("imputation", ["median", "mode", "constant"])
def test_a_number_of_no_known_spread_and_range_says_nothing_and_that_is_said(train, imputation):
    how = {"numeric_imputation": imputation, "scaling": "standard"}
    how |= {"fill_value": 60.0} if imputation == "constant" else {}
    fitted = fit(table(train), schema(Column("height", "numeric")), config(**how))
    assert apply(fitted, table([120, NAN, train[0]])).tolist() == [[0], [0], [0]]
    ((column, count),) = unread(fitted, table([120, NAN, train[0]]).x)
    assert (column.name, count) == ("height", 1)
    assert list(unread(fitted, table(train).x)) == []
    kept = json.loads(json.dumps(constants_of(fitted), allow_nan=False))
    assert recall_fit(fitted.schema, fitted.cfg, kept).columns == fitted.columns


def test_without_scaling_a_number_stays_in_its_own_unit():
    how = {"numeric_imputation": "constant", "fill_value": 4.0}
    assert through(NUMBER, [NAN, NAN], [NAN, 6], **how) == [[4, 1], [6, 0]]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize(
    ("train", "imputation"),
    [([NAN, NAN], "mode"), ([NAN, NAN], "constant"), ([0, 0, NAN], "constant"), ([0, 1], "mode")],
    ids=["none", "none-constant", "constant", "tie"],
)
def test_a_missing_category_of_which_nothing_is_known_is_no_category_in_any_order(
    train, imputation, order
):
    how = {"categorical_imputation": imputation}
    for kind, zeros in (("categorical", [[0, 0, 0]]), ("ordinal", [[0.5]])):
        column = Column("grade", kind, categories=tuple(map(float, order)))
        assert through(column, train, [NAN], **how) == zeros


def test_a_missing_rank_of_two_is_neither():
    column = Column("level", "ordinal", categories=(0.0, 1.0), may_be_missing=True)
    assert through(column, [NAN], [0, NAN, 1]) == [[0, 0], [0.5, 1], [1, 0]]


def test_large_values_that_hardly_differ_are_scaled_by_their_own_deviation():
    steps = np.arange(4000) % 8
    nanoseconds = (1_582_218_195_625_938_944 + 1024 * steps).astype(np.float64)
    learnt = fit(table(nanoseconds), schema(Column("d", "numeric")), config(scaling="standard"))
    assert learnt.columns[0].scale == pytest.approx(1024 * np.std(steps), rel=1e-12)
    assert learnt.columns[0].mean == pytest.approx(nanoseconds[0] + 1024 * 3.5, rel=1e-15)


def test_what_differs_by_rounding_alone_is_a_constant():
    values = [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2]
    learnt = fit(table(values), schema(Column("d", "numeric")), config(scaling="standard"))
    assert learnt.columns[0].scale == np.inf


@pytest.mark.parametrize(
    ("column", "key"),
    [(NUMBER, "numeric_imputation"), (COLOUR, "categorical_imputation")],
    ids=["numeric", "categorical"],
)
def test_a_missing_value_that_would_be_left_is_refused_by_its_columns_name(column, key):
    fitted = fit(table([1, 2, NAN]), schema(column), config(**{key: "none"}))
    assert apply(fitted, table([1, 2])).dtype == np.float32
    with pytest.raises(ValueError, match=f"column {column.name} has missing values"):
        apply(fitted, table([1, NAN]))


def test_an_empty_table_cannot_be_fitted_on():
    with pytest.raises(ValueError, match="no rows"):
        fit(Table(np.empty((0, 1)), np.empty(0, dtype=np.int64)), schema(NUMBER), config())


def test_an_empty_part_becomes_an_empty_input_of_the_same_width():
    fitted = fit(table([1, 2], [1, 2]), schema(NUMBER, COLOUR), config())
    empty = Table(np.empty((0, 2)), np.empty(0, dtype=np.int64))
    assert apply(fitted, empty).shape == (0, 5)


def test_a_table_of_another_width_is_refused():
    fitted = fit(table([1, 2]), schema(NUMBER), config())
    with pytest.raises(ValueError, match="the table has 2 columns, the schema 1"):
        apply(fitted, table([1, 2], [3, 4]))


def test_neither_fit_nor_apply_changes_the_table_that_it_was_given():
    rows = table([0, NAN, 5, 900])
    before = rows.x.copy()
    column = Column("d", "numeric", missing_codes=(0.0,))
    apply(fit(rows, schema(column), config(outliers="clip", scaling="standard")), rows)
    assert np.array_equal(rows.x, before, equal_nan=True)


def test_features_are_named_in_the_order_of_the_inputs():
    assert feature_names(schema(NUMBER, COLOUR), config(outliers="flag")) == (
        "age",
        "age is an outlier",
        "age is missing",
        "colour=1",
        "colour=2",
        "colour=5",
    )


def test_one_hot_codes_agree_with_scikit_learn_also_for_unknown_categories():
    rows = table([1, 2, 5, 5, 9])
    coder = OneHotEncoder(categories=[[1, 2, 5]], handle_unknown="ignore", sparse_output=False)
    oracle = coder.fit([[1], [2], [5]]).transform(rows.x)
    assert (apply(fit(rows, schema(COLOUR), config()), rows) == oracle).all()


# Eighths are exact in float32, so that no rounding blurs an equality.
values = st.one_of(st.just(NAN), st.integers(-8000, 8000).map(lambda eighths: eighths / 8))
shared = {"name": st.just("c"), "may_be_missing": st.booleans()}
columns = st.one_of(
    st.builds(
        Column,
        kind=st.just("numeric"),
        missing_codes=st.sampled_from([(), (0.0,), (-1.0, 1.0)]),
        **shared,
    ),
    st.builds(
        Column,
        kind=st.sampled_from(["categorical", "ordinal"]),
        categories=st.sampled_from([(0.0, 1.0), (1.0, 2.0, 3.0)]),
        missing_codes=st.sampled_from([(), (-1.0, 8.0)]),
        unknown=st.sampled_from(["other", "missing"]),
        **shared,
    ),
)
constant = {"numeric_imputation": "constant"}
numeric = [{"numeric_imputation": "median"}, {"numeric_imputation": "mode"}, constant]
configs = st.builds(
    lambda filled, **options: config(**filled, **options),
    st.sampled_from([*numeric, constant | {"fill_value": -3.5}]),
    categorical_imputation=st.sampled_from(["mode", "constant"]),
    scaling=st.sampled_from(["standard", "none"]),
    outliers=st.sampled_from(["clip", "flag", "keep"]),
    iqr_factor=st.sampled_from([0.5, 1.5, 3.0]),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Schema, PreprocessingConfig, Table, Table]:
    """A schema, a config, and training and other rows of any content."""
    drawn = draw(st.lists(columns, min_size=1, max_size=4))
    of = [replace(column, name=f"c{i}") for i, column in enumerate(drawn)]

    def rows(at_least: int) -> Table:
        one = st.lists(values, min_size=len(of), max_size=len(of))
        drawn = draw(st.lists(one, min_size=at_least, max_size=8))
        x = np.array(drawn, dtype=np.float64).reshape(len(drawn), len(of))
        return Table(x, np.zeros(len(x), dtype=np.int64))

    return schema(*of), draw(configs), rows(1), rows(0)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_the_width_follows_from_schema_and_config_and_the_output_is_finite(case):
    of, cfg, train, rest = case
    fitted = fit(train, of, cfg)
    for rows in (train, rest):
        got = apply(fitted, rows)
        assert got.shape == (len(rows), num_inputs(of, cfg))
        assert got.dtype == np.float32
        assert np.isfinite(got).all()


@settings(max_examples=100, deadline=None)
@given(cases())
def test_a_row_becomes_the_same_whatever_rows_stand_beside_it(case):
    of, cfg, train, rest = case
    fitted = fit(train, of, cfg)
    together = apply(fitted, rest)
    for i in range(len(rest)):
        alone = apply(fitted, rest.take(np.array([i])))
        assert (alone[0] == together[i]).all()


@settings(max_examples=50, deadline=None)
@given(cases())
def test_applying_to_other_rows_leaves_what_was_fitted_as_it_was(case):
    of, cfg, train, rest = case
    fitted = fit(train, of, cfg)
    before = apply(fitted, train)
    apply(fitted, rest)
    assert (apply(fitted, train) == before).all()
    assert (apply(fit(train, of, cfg), train) == before).all()


@settings(max_examples=100, deadline=None)
@given(cases())
def test_the_order_of_a_schemas_words_decides_nothing_but_the_order_of_inputs(case):
    of, cfg, train, rest = case
    turned = schema(*(replace(c, categories=c.categories[::-1]) for c in of.columns))
    names = feature_names(of, cfg)
    places = [names.index(name) for name in feature_names(turned, cfg)]
    ranks = [names.index(c.name) for c in of.columns if c.kind == "ordinal"]
    expected = apply(fit(train, of, cfg), rest)
    expected[:, ranks] = 1 - expected[:, ranks]
    got = apply(fit(train, turned, cfg), rest)
    assert got == pytest.approx(expected[:, places], abs=1e-6)


def test_an_ordinal_value_becomes_its_rank():
    grade = Column("grade", "ordinal", categories=(10.0, 20.0, 40.0))
    fitted = fit(table([10, 20, 20]), schema(grade), config())
    assert apply(fitted, table([10, 20, 40, NAN, 7]))[:, 0].tolist() == [0, 0.5, 1, 0.5, 0.5]


def test_an_undeclared_category_can_count_as_missing():
    colour = Column(
        "c", "categorical", categories=(1.0, 2.0), unknown="missing", may_be_missing=True
    )
    fitted = fit(table([1, 2, 2]), schema(colour), config())
    assert apply(fitted, table([2, 9])).tolist() == [[0, 1, 0], [0, 1, 1]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "categorical"}, "needs categories"),
        ({"kind": "numeric", "categories": (1.0,)}, "has no categories"),
        ({"kind": "ordinal", "categories": (1.0, 1.0)}, "twice"),
        (
            {"kind": "categorical", "categories": (0.0, 1.0), "missing_codes": (1.0,)},
            "missing code",
        ),
        ({"kind": "numeric", "missing_codes": (NAN,)}, "NaN is always missing"),
        ({"kind": "numeric", "low": 3, "high": 3}, "low is not below high"),
    ],
)
def test_a_column_that_contradicts_itself_is_refused_by_its_name(fields, words):
    with pytest.raises(ValueError, match=words) as error:
        Column(name="pressure", **fields)
    assert "pressure" in str(error.value)
