"""Constants that a server brings: what a client takes of them, column by column."""

import pytest

from calyx.data.schema import Column, Schema
from calyx.errors import ConfigError
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.constants import fit_by_config
from calyx.preprocessing.imputation import check_fill

SCHEMA = Schema(
    (
        Column("age", "numeric", low=20, high=80),
        Column("smoker", "categorical", categories=(0.0, 1.0)),
    ),
    ("no", "yes"),
)
NUMBER, CATEGORY = [50.0, 10.0, 90.0, 50.0, 12.0], [1.0, None, None, 0.0, 1.0]


PLAIN = {
    "name": "federated",
    "numeric_imputation": "median",
    "categorical_imputation": "mode",
    "fill_value": 0.0,
    "scaling": "standard",
    "outliers": "clip",
    "iqr_factor": 3.0,
}


def config(row, category=CATEGORY, **changes):
    return PreprocessingConfig(**(PLAIN | changes), fitted=((tuple(row), tuple(category)),))


@pytest.mark.parametrize(
    "row", [NUMBER, [50.0, None, None, 50.0, 0.006], [80.0, 10.0, 90.0, 50.0, 60.0]]
)
def test_constants_that_rows_could_have_given_are_taken(row):
    assert fit_by_config(SCHEMA, config(row)).columns[0].mean == 50.0


@pytest.mark.parametrize(
    "row",
    [
        [50.0, 60.0, 60.0, 50.0, 12.0],  # bounds that blind
        [50.0, 1e300, 1e300, 50.0, 12.0],
        [50.0, 1e300, None, 50.0, 12.0],  # one bound does it as well
        [50.0, None, -1e300, 50.0, 12.0],
        [1e300, 10.0, 90.0, 50.0, 12.0],  # a fill that no row has
        [0.0, 10.0, 90.0, 50.0, 12.0],  # the key fill_value, which fills nothing here
        [None, 10.0, 90.0, 50.0, 12.0],  # holes would be left, and tell where they are
        [50.0, 10.0, 90.0, 50.0, 1e-44],  # a scale that blows one value up
        [50.0, 10.0, 90.0, 90.0, 12.0],
        [50.0, 10.0, 90.0, 50.0, 61.0],
    ],
)
def test_constants_that_no_rows_could_have_given_are_refused(row):
    with pytest.raises(ConfigError, match="impossible values for age"):
        fit_by_config(SCHEMA, config(row))


@pytest.mark.parametrize(
    ("fill_value", "fill", "is_taken"),
    [
        (0.0, 0.0, True),  # nearer to 20 … 80 than these are apart
        (140.0, 140.0, True),
        (141.0, 141.0, False),
        (1e30, 1e30, False),
        (50.0, 51.0, False),  # not what the key says
        (
            1e30,
            None,
            True,
        ),  # of a column that is complete: a hole stays one, and is refused as such
    ],
)
def test_a_constant_fill_is_near_the_declared_values(fill_value, fill, is_taken):
    cfg = config([fill, *NUMBER[1:]], numeric_imputation="constant", fill_value=fill_value)
    if is_taken:
        assert (
            fit_by_config(SCHEMA, cfg).columns[0].fill == pytest.approx(fill, nan_ok=True)
            or fill is None
        )
        return
    with pytest.raises(ConfigError, match="impossible values for age"):
        fit_by_config(SCHEMA, cfg)


def test_a_fill_value_far_from_a_column_with_holes_is_refused_before_any_row():
    holes = Column("pulse", "numeric", may_be_missing=True, low=40, high=200)
    schema = Schema((*SCHEMA.columns, holes), SCHEMA.classes)
    far = PLAIN | {"numeric_imputation": "constant", "fill_value": 700.0}
    with pytest.raises(ConfigError, match=r"fill_value=700 is far .* pulse, .* from 40 to 200"):
        check_fill(schema, PreprocessingConfig(**far))
    check_fill(schema, PreprocessingConfig(**far | {"fill_value": 0.0}))
    check_fill(schema, PreprocessingConfig(**far | {"numeric_imputation": "median"}))
    check_fill(SCHEMA, PreprocessingConfig(**far))  # its age is complete


@pytest.mark.parametrize("name", ["local", "none"])
def test_who_fits_its_own_takes_no_constants(name):
    with pytest.raises(ValueError, match="of preprocessing=federated only"):
        config(NUMBER, name=name)


@pytest.mark.parametrize(
    "category",
    [[0.5, None, None, 0.0, 1.0], [1.0, None, None, 0.5, 1.0], [1.0, 0.0, 1.0, 0.0, 1.0]],
)
def test_a_category_is_filled_by_a_category_and_not_scaled(category):
    with pytest.raises(ConfigError, match="impossible values for smoker"):
        fit_by_config(SCHEMA, config(NUMBER, category))


def test_nothing_is_scaled_where_nothing_is_to_be():
    plain = [50.0, 10.0, 90.0, 0.0, 1.0]
    assert fit_by_config(SCHEMA, config(plain, scaling="none")).columns[0].scale == 1.0
    with pytest.raises(ConfigError, match="impossible values"):
        fit_by_config(SCHEMA, config(NUMBER, scaling="none"))
