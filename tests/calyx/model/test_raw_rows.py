"""A model from rows to answers in one module: what the preprocessing and the network say apart, it says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.schema import Column, Schema, Table
from calyx.model.raw_rows import Prepare
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import apply, fit

SCHEMA = Schema(
    (
        Column("age", "numeric", low=0, high=100),
        Column(
            "pressure", "numeric", missing_codes=(0.0, -9.0), may_be_missing=True, low=50, high=250
        ),
        Column("pain", "categorical", (1.0, 2.0, 3.0), may_be_missing=True),
        Column("ward", "categorical", (4.0, 5.0), (9.0,), unknown="missing"),
        Column("stage", "ordinal", (3.0, 1.0, 2.0), may_be_missing=True),
        Column("pixel", "image", low=0, high=1),
    ),
    ("no", "yes"),
)
CELLS = (
    st.sampled_from([20.0, 55.5, 300.0, -5.0]),
    st.sampled_from([np.nan, 0.0, -9.0, 80.0, 400.0]),
    st.sampled_from([np.nan, 1.0, 2.0, 3.0, 7.0]),
    st.sampled_from([4.0, 5.0, 9.0, 6.0]),
    st.sampled_from([np.nan, 3.0, 1.0, 2.0, 8.0]),
    st.sampled_from([0.0, 0.25, 1.0]),
)


@pytest.fixture(scope="module", params=["clip", "flag", "keep"])
def fitted(request):
    """What a preprocessing of this treatment of outliers has learnt of a hundred rows."""
    draw = np.random.default_rng(0)
    columns = [
        draw.normal(50, 10, 100),
        draw.normal(120, 20, 100),
        draw.choice([1.0, 2.0, 2.0], 100),
        draw.choice([4.0, 5.0], 100),
        draw.choice([1.0, 2.0, 3.0], 100),
        draw.random(100),
    ]
    cfg = PreprocessingConfig(
        name="local",
        numeric_imputation="median",
        categorical_imputation="mode",
        fill_value=0.0,
        scaling="standard",
        outliers=request.param,
        iqr_factor=1.5,
    )
    return fit(Table(np.stack(columns, axis=1), np.zeros(100, dtype=np.int64)), SCHEMA, cfg)


@given(rows=st.lists(st.tuples(*CELLS), min_size=1, max_size=8))
def test_inputs_are_those_of_the_preprocessing(fitted, rows):
    x = np.array(rows)
    wanted = apply(fitted, Table(x, np.zeros(len(x), dtype=np.int64)))
    assert np.array_equal(Prepare(fitted)(torch.from_numpy(x)).numpy(), wanted)
