"""Columns that are prepared together become, to the last bit, what each of them becomes alone.

The oracle takes one column at a time, with scikit-learn's scaler, as Calyx did before it took blocks:
digests, constants in files of runs and inputs of released models follow from these bits.

Shapes: N rows, C columns of the schema, F model inputs.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from calyx.data.schema import Column, Schema, Table, mark_missing, without_codes
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitted import ColumnFit, constants_of, fitted_of
from calyx.preprocessing.fitting import apply, fit
from calyx.preprocessing.planned import Plan
from calyx.preprocessing.spread import NOISE, moments
from client.rows.checks import check_table

NAN = np.nan
NOTHING = (NAN, -np.inf, np.inf, 0.0, 1.0)


def fill_of(present, column, cfg):
    low, high = column.low, column.high
    if column.categories:
        unknown = min(column.categories) - 1.0
        if cfg.categorical_imputation != "mode" or not len(present):
            return NAN if cfg.categorical_imputation == "none" else unknown
        distinct, counts = np.unique(present, return_counts=True)
        return distinct[counts.argmax()] if (counts == counts.max()).sum() == 1 else unknown
    if cfg.numeric_imputation == "none":
        return NAN
    if cfg.numeric_imputation == "constant":
        near = None in (low, high) or 2 * low - high <= cfg.fill_value <= 2 * high - low
        return cfg.fill_value if near else NAN
    if len(present) and cfg.numeric_imputation == "median":
        return np.median(present)
    if len(present):
        distinct, counts = np.unique(present, return_counts=True)
        return distinct[counts.argmax()]
    return 0.0 if None in (low, high) else (low + high) / 2


def moments_of(values):
    scaler = StandardScaler().fit(values[:, None])
    mean, scale = scaler.mean_[0], scaler.scale_[0]
    least, greatest = np.nanmin(values), np.nanmax(values)
    if scale != 1.0:
        return mean, scale
    if greatest - least <= NOISE * max(abs(least), abs(greatest)):
        return mean, 0.0
    scaler = StandardScaler().fit((values - least)[:, None])
    return least + scaler.mean_[0], scaler.scale_[0]


def fit_column(values, column, cfg):
    """Fill, low, high, mean and scale of one column."""
    values = without_codes(values, column)
    present = values[~np.isnan(values)]
    if column.categories:
        return fill_of(present, column, cfg), *NOTHING[1:]
    if column.kind != "numeric":
        return NOTHING
    fill, (low, high) = fill_of(present, column, cfg), NOTHING[1:3]
    if len(present) and cfg.outliers != "keep":
        first, third = np.quantile(present, [0.25, 0.75])
        if third > first:
            reach = cfg.iqr_factor * (third - first)
            low, high = first - reach, third + reach
    filled = np.where(np.isnan(values), fill, values)
    if cfg.outliers == "clip":
        filled = np.clip(filled, low, high)
    if cfg.scaling == "none" or np.isnan(filled).all():
        return fill, low, high, 0.0, 1.0
    mean, scale = moments_of(filled)
    if scale == 0:
        scale = np.inf if None in (column.low, column.high) else (column.high - column.low) / 2
    return fill, low, high, mean, scale


def apply_column(values, column, learnt, cfg):
    """The inputs [N] of one column."""
    fill, low, high, mean, scale = learnt
    values = without_codes(values, column)
    filled = np.where(np.isnan(values), fill, values)
    if np.isnan(filled).any():
        raise ValueError(f"the column {column.name} has missing values")
    if column.kind == "categorical":
        parts = [filled == category for category in column.categories]
    elif column.kind == "ordinal":
        ranks = np.full(len(filled), (len(column.categories) - 1) / 2)
        for place, category in enumerate(column.categories):
            ranks[filled == category] = place
        parts = [ranks / max(1, len(column.categories) - 1)]
    else:
        bounded = np.clip(filled, low, high) if cfg.outliers == "clip" else filled
        parts = [(bounded - mean) / scale]
        if column.kind == "numeric" and cfg.outliers == "flag":
            parts.append((values < low) | (values > high))
    return [*parts, np.isnan(values)] if column.may_be_missing else parts


def table(x) -> Table:
    return Table(x, np.arange(len(x)) % 2)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Schema, np.ndarray, np.ndarray]:
    """A schema, and the cells of training and of other rows; many columns are alike, and many cells equal."""
    shared = {"missing_codes": st.sampled_from([(), (9.0,)]), "may_be_missing": st.booleans()}
    coded = {"categories": st.sampled_from([(0.0, 1.0), (1.0, 2.0, 3.0)])}
    coded["unknown"] = st.sampled_from(["other", "missing", "refuse"])
    bounds = st.sampled_from([{}, {"low": 0, "high": 3}, {"low": -1}, {"high": 2.5}])
    of_kind = st.one_of(
        st.builds(
            lambda b, **more: Column(kind="numeric", **b, **more),
            bounds,
            name=st.just("c"),
            **shared,
        ),
        st.builds(Column, kind=st.sampled_from(["image", "text"]), name=st.just("c")),
        st.builds(
            Column,
            kind=st.sampled_from(["categorical", "ordinal"]),
            name=st.just("c"),
            **coded,
            **shared,
        ),
    )
    kinds = draw(st.lists(of_kind, min_size=1, max_size=4))
    columns = [
        replace(draw(st.sampled_from(kinds)), name=f"c{i}") for i in range(draw(st.integers(1, 9)))
    ]
    seed, rows, others = draw(
        st.tuples(st.integers(0, 2**32), st.integers(1, 70), st.integers(0, 5))
    )
    draw_cell = np.random.default_rng(seed)
    values = [0.0, -0.0, 1.0, 2.0, 3.0, 9.0, 1e9, 0.1, 1e300, *draw_cell.normal(size=4)]
    has_holes = [NAN] * draw(st.sampled_from([0, 1, 9]))
    some = np.array([*values, *has_holes])[: draw(st.integers(1, 20))]
    x = draw_cell.choice(some, (rows + others, len(columns)))
    spread = draw_cell.random(len(columns)) < 0.5
    x = np.where(spread & ~np.isnan(x), x + draw_cell.normal(size=x.shape), x)
    return Schema(tuple(columns), ("no", "yes")), x[:rows], x[rows:]


configs = st.builds(
    PreprocessingConfig,
    name=st.just("local"),
    numeric_imputation=st.sampled_from(["median", "mode", "constant", "none"]),
    categorical_imputation=st.sampled_from(["mode", "constant", "none"]),
    fill_value=st.sampled_from([0.0, 2.5, 7.0]),
    scaling=st.sampled_from(["standard", "none"]),
    outliers=st.sampled_from(["clip", "flag", "keep"]),
    iqr_factor=st.sampled_from([0.5, 3.0]),
)


@settings(max_examples=150, deadline=None)
@given(tables(), configs)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # 1e300 squared is infinite in both
def test_constants_and_inputs_are_those_of_each_column_alone(case, cfg):
    schema, train, others = case
    fitted = fit(table(train), schema, cfg)
    learnt = [fit_column(x, column, cfg) for x, column in zip(train.T, schema.columns, strict=True)]
    columns = [ColumnFit(*map(float, one)) for one in learnt]
    expected = fitted_of(schema, cfg, columns)
    for name in ("fill", "low", "high", "mean", "scale"):
        assert getattr(fitted, name).tobytes() == getattr(expected, name).tobytes(), name
    assert repr(fitted.columns) == repr(tuple(columns))
    for x in (train, others):
        cells = zip(x.T, schema.columns, learnt, strict=True)
        try:
            parts = [p for cell, *how in cells for p in apply_column(cell, *how, cfg)]
        except ValueError as error:
            with pytest.raises(ValueError, match=str(error)):
                apply(fitted, table(x))
            with pytest.raises(ValueError, match=str(error)):
                Plan(fitted).apply(x)
            continue
        inputs = np.stack(parts, axis=1).astype(np.float32)
        assert apply(fitted, table(x)).tobytes() == inputs.tobytes()
        assert apply(fitted, table(x)).flags.c_contiguous
        assert Plan(fitted).apply(x).tobytes() == inputs.tobytes()


def test_a_block_that_is_cut_in_pieces_learns_the_same(monkeypatch):
    draw = np.random.default_rng(1)
    schema = Schema(tuple(Column(f"c{i}", "numeric") for i in range(7)), ("no", "yes"))
    cfg = PreprocessingConfig(
        name="local", numeric_imputation="median", categorical_imputation="mode", fill_value=0.0,
        scaling="standard", outliers="flag", iqr_factor=3.0,
    )  # fmt: skip
    rows = table(draw.normal(size=(30, 7)))
    whole = fit(rows, schema, cfg)
    monkeypatch.setattr("calyx.data.schema._BLOCK_CELLS", 60)
    assert constants_of(fit(rows, schema, cfg)) == constants_of(whole)
    assert apply(whole, rows).tobytes() == apply(fit(rows, schema, cfg), rows).tobytes()


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 100, 129, 1000, 8193, 20_000])
@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_moments_are_those_of_scikit_learn_to_the_last_bit(rows, holes):
    """Of sums over many rows too, which NumPy adds in an order that depends on how they lie."""
    draw = np.random.default_rng(rows)
    values = draw.normal(1e3, 1.0, (5, rows)) * 10.0 ** draw.integers(-9, 9, (5, 1))
    values[draw.random(values.shape) < holes] = NAN
    values[:, 0] = 1.0
    values[3], values[4] = 0.1, 1.7e9 + np.arange(rows) * 1e-6
    expected = [moments_of(column) for column in values]
    assert np.stack(moments(values), axis=1).tolist() == np.array(expected).tolist()


def findings_of(x, schema):
    """Missing values, odd ones and constants, column by column: check, column and count."""
    found, constant = [], 0
    for i, column in enumerate(schema.columns):
        cleaned = without_codes(x[:, i], column)
        present = cleaned[~np.isnan(cleaned)]
        if len(present) < len(x):
            found.append(("missing", column.name, len(x) - len(present)))
        if column.categories:
            odd = int((~np.isin(present, column.categories)).sum())
            if odd and column.unknown == "refuse":
                return column.name
        else:
            low, high = (
                (-np.inf if column.low is None else column.low),
                (np.inf if column.high is None else column.high),
            )
            odd = int((~((present >= low) & (present <= high))).sum())
        if odd:
            check = "unknown-category" if column.categories else "range"
            found.append((check, column.name, odd))
        constant += bool(len(present) and (present == present[0]).all())
    return [*found, *([("constant", constant)] if constant else [])]


@settings(max_examples=100, deadline=None)
@given(tables())
def test_findings_and_marks_are_those_of_each_column_alone(case):
    schema, x, _ = case
    marked = mark_missing(x, schema)
    for i, column in enumerate(schema.columns):
        assert np.array_equal(marked[:, i], without_codes(x[:, i], column), equal_nan=True)
    expected = findings_of(x, schema)
    if isinstance(expected, str):
        with pytest.raises(Exception, match=f"The column {expected} holds a category"):
            check_table(table(x), schema)
        return
    told = [
        (f.check, f.count) if f.check == "constant" else (f.check, f.column, f.count)
        for f in check_table(table(x), schema)
        if f.check not in ("duplicates", "classes")
    ]
    assert told == expected
