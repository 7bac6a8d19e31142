"""Names are the user's: no word that Calyx uses inside changes a figure, or gets another's."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.surveys import figures

from calyx.data.schema import Column, Schema, Table, Target
from calyx.findings.baseline import column_of, compare_figures, drift_findings
from calyx.findings.figures_json import as_json
from calyx.findings.findings import find
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.federated import fit_sums

# Of dictionaries, tensors, files, CSV headers and figures inside.
INSIDE = (
    *("target", "image", "label", "labels", "rows", "missing", "columns", "hidden", "absent"),
    *("withheld", "all", "train", "validation", "test", "predicted", "consortium", "client"),
    *("preprocessing/constants", "fold-0", "fold-1", "sum", "square", "present", "class_total"),
    *("a is missing", "a is an outlier", "a=0", "a=b", "a", "x", "y", "0", "1", "None", "role"),
    *("image (2)", "loss", "weight", "num_examples", "seed", "task", "schema", "name", ""),
)
FEDERATED = PreprocessingConfig(
    name="federated",
    numeric_imputation="median",
    categorical_imputation="mode",
    fill_value=0.0,
    scaling="standard",
    outliers="flag",
    iqr_factor=3.0,
)
CLASSES, COST = ("no", "yes"), Target("cost", 0, 1)


def columns_of(names):
    first, second, third = names
    return (
        Column(first, "numeric", low=0, high=100, may_be_missing=True),
        Column(second, "numeric", low=-9, high=9),
        Column(third, "categorical", categories=(0.0, 1.0), may_be_missing=True),
    )


def tables_of(is_classes, pixels=0, shift=0.0):
    tables = []
    for seed in range(4):
        draw = np.random.default_rng(seed)
        x = np.column_stack([draw.uniform(0, 100, 90), draw.normal(shift, 1, 90)])
        x[draw.random(90) < 0.2, 0] = np.nan
        words = draw.integers(0, 2, 90).astype(float)
        shown = draw.random((90, pixels))
        y = (x[:, 1] > 0).astype(np.int64) if is_classes else x[:, 1] + words
        tables.append(Table(np.column_stack([x, words, shown]), y))
    return tables


def told(names, target=None, pixels=0):
    """Figures, constants and findings of one set of rows, of which only the names differ."""
    shown = tuple(Column(f"p{i}", "image", low=0, high=1) for i in range(pixels))
    of = None if target is None else replace(COST, name=target)
    schema = Schema(columns_of(names) + shown, CLASSES if target is None else (), of)
    found = figures(tables_of(target is None, pixels), schema=schema, minimum=10)
    constants = [
        (fit.fill, fit.low, fit.high, fit.mean, fit.scale)
        for fit in fit_sums(found, schema, FEDERATED).columns
    ]
    findings = [(f.check, f.severity, f.count) for f in find(found, schema)]
    return as_json(found), np.array(constants), findings


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(INSIDE), min_size=4, max_size=4, unique=True), st.integers(0, 2))
def test_whatever_columns_are_called_figures_and_constants_are_those_of_neutral_names(names, how):
    target, pixels = (names[3] if how else None), 2 * (how == 2)
    own, constants, findings = told(names[:3], target, pixels)
    neutral, expected, same = told(["n1", "n2", "n3"], "n4" if how else None, pixels)
    assert len(own["columns"]) == len(neutral["columns"])
    pairs = zip(own["columns"].values(), neutral["columns"].values(), strict=True)
    assert all(mine == theirs for mine, theirs in pairs)
    assert list(own["columns"])[:3] == names[:3]
    assert np.array_equal(constants, expected, equal_nan=True)
    assert findings == same


def test_an_input_called_target_has_its_own_figures_and_constants():
    own, constants, _ = told(["target", "image", "label"], "cost", pixels=2)
    x = np.concatenate([t.x for t in tables_of(is_classes=False)])
    assert constants[0][3] == pytest.approx(np.nanmean(x[:, 0]), rel=1e-9)
    assert own["columns"]["target"]["mean"] == pytest.approx(np.nanmean(x[:, 0]), rel=1e-9)
    roles = {name: column["role"] for name, column in own["columns"].items()}
    assert roles == {
        "target": "column",
        "image": "column",
        "label": "column",
        "image (2)": "image",
        "cost": "target",
    }


def test_drift_of_a_column_called_label_is_not_that_of_the_label():
    schema = Schema(columns_of(["age", "label", "smoker"]), CLASSES)
    before = figures(tables_of(is_classes=True), schema=schema)
    moved = [replace(t, x=t.x + np.array([0, 3.0, 0])) for t in tables_of(is_classes=True)]
    drifts = compare_figures(before, figures(moved, schema=schema))
    levels = {drift.role: drift.severity for drift in drifts if drift.name == "label"}
    assert levels == {"column": "alert", "label": "none"}
    (finding,) = (f for f in drift_findings(drifts) if f.check == "drift")
    assert finding.column == "label"
    assert finding.message.startswith("label is distributed otherwise")
    turned = [replace(t, y=np.ones_like(t.y)) for t in tables_of(is_classes=True)]
    (other,) = drift_findings(compare_figures(before, figures(turned, schema=schema)))
    assert other.column is None
    assert other.message.startswith("The label is distributed otherwise")
    assert [column_of(d) for d in drifts] == ["age", "label", "smoker", None]


@pytest.mark.parametrize("target", [None, Target("age", 0, 1)])
def test_a_name_means_one_thing(target):
    names = ["age", "b", "c"] if target else ["age", "b", "age"]
    with pytest.raises(ValueError, match="names age twice"):
        Schema(columns_of(names), () if target else CLASSES, target)
