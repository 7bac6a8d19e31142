"""Constants that a server brings: what a client takes of them, column by column."""

import pytest

from calyx.errors import ConfigError
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import given
from calyx.tasks.base import Column, Schema

SCHEMA = Schema(
    (
        Column("age", "numeric", low=20, high=80),
        Column("smoker", "categorical", categories=(0.0, 1.0)),
    ),
    ("no", "yes"),
)
NUMBER, CATEGORY = [50.0, 10.0, 90.0, 50.0, 12.0], [1.0, None, None, 0.0, 1.0]


def config(row, category=CATEGORY, **changes):
    values = {
        "name": "federated",
        "numeric_imputation": "median",
        "categorical_imputation": "mode",
        "fill_value": 0.0,
        "scaling": "standard",
        "outliers": "clip",
        "iqr_factor": 3.0,
    }
    return PreprocessingConfig(**(values | changes), fitted=((tuple(row), tuple(category)),))


@pytest.mark.parametrize(
    "row", [NUMBER, [50.0, None, None, 50.0, 0.006], [0.0, 10.0, 90.0, 50.0, 60.0]]
)
def test_constants_that_rows_could_have_given_are_taken(row):
    assert given(SCHEMA, config(row)).columns[0].mean == 50.0


@pytest.mark.parametrize(
    "row",
    [
        [50.0, 60.0, 60.0, 50.0, 12.0],  # bounds that blind
        [50.0, 1e300, 1e300, 50.0, 12.0],
        [1e300, 10.0, 90.0, 50.0, 12.0],  # a fill that no row has
        [None, 10.0, 90.0, 50.0, 12.0],  # holes would be left, and tell where they are
        [50.0, 10.0, 90.0, 50.0, 1e-44],  # a scale that blows one value up
        [50.0, 10.0, 90.0, 90.0, 12.0],
        [50.0, 10.0, 90.0, 50.0, 61.0],
    ],
)
def test_constants_that_no_rows_could_have_given_are_refused(row):
    with pytest.raises(ConfigError, match="impossible values for age"):
        given(SCHEMA, config(row))


@pytest.mark.parametrize(
    "category",
    [[0.5, None, None, 0.0, 1.0], [1.0, None, None, 0.5, 1.0], [1.0, 0.0, 1.0, 0.0, 1.0]],
)
def test_a_category_is_filled_by_a_category_and_not_scaled(category):
    with pytest.raises(ConfigError, match="impossible values for smoker"):
        given(SCHEMA, config(NUMBER, category))


def test_nothing_is_scaled_where_nothing_is_to_be():
    plain = [50.0, 10.0, 90.0, 0.0, 1.0]
    assert given(SCHEMA, config(plain, scaling="none")).columns[0].scale == 1.0
    with pytest.raises(ConfigError, match="impossible values"):
        given(SCHEMA, config(NUMBER, scaling="none"))
