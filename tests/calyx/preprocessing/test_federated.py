"""Constants from sums: what they are where there are none, and what no site gives."""

from dataclasses import replace

import numpy as np
import pytest
from support.surveys import NAN, SCHEMA, SITES, asked, figures, rows

from calyx.data.schema import Schema
from calyx.errors import ConfigError
from calyx.findings.figures import read_sums
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.constants import fit_by_config
from calyx.preprocessing.federated import check_given, fit_sums, unshown
from calyx.preprocessing.fitted import constants_of
from calyx.preprocessing.fitting import apply
from calyx.survey.blocks import ITEMS, TRAIN, Item

CFG = PreprocessingConfig(
    name="federated",
    numeric_imputation="median",
    categorical_imputation="mode",
    fill_value=0.0,
    scaling="standard",
    outliers="clip",
    iqr_factor=3.0,
)
READABLE = Schema(SCHEMA.columns[:3], SCHEMA.classes)  # without the text, which models look up


def of_one_site():
    """Sums of four sites of which one alone shows values of age."""
    tables = [rows(150, seed) for seed in range(4)]
    for table in tables[1:]:
        table.x[4:, 0] = NAN
    return tables


def test_a_column_that_one_site_alone_shows_is_scaled_by_its_declared_range():
    tables = of_one_site()
    fitted = fit_sums(figures(tables, minimum=10, sample=TRAIN), SCHEMA, CFG)
    age = fitted.columns[0]
    assert (age.fill, age.mean, age.scale) == (50.0, 50.0, 50.0)
    assert (age.low, age.high) == (-np.inf, np.inf)
    assert fitted.columns[1].mean == pytest.approx(240, abs=10)


def test_constants_of_the_declared_range_are_taken_by_clients_and_map_it_to_one():
    tables = of_one_site()
    constants = constants_of(fit_sums(figures(tables, minimum=10), SCHEMA, CFG))
    taken = fit_by_config(SCHEMA, replace(CFG, fitted=(constants,)))
    table = rows(40)
    table.x[:2, 0] = (0.0, 100.0)
    table.x[2, 0] = NAN
    assert apply(taken, table)[:3, 0].tolist() == [-1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("how", "fill"), [("median", 50.0), ("mode", 50.0), ("constant", -3.0), ("none", NAN)]
)
def test_without_sums_only_a_constant_fills_as_the_config_says(how, fill):
    given_fill = -3.0 if how == "constant" else 0.0
    cfg = replace(CFG, numeric_imputation=how, fill_value=given_fill, scaling="none")
    age = fit_sums(figures(of_one_site(), minimum=10), SCHEMA, cfg).columns[0]
    assert (age.mean, age.scale) == (0.0, 1.0)
    assert age.fill == pytest.approx(fill, nan_ok=True)


def given_items(*withheld: Item):
    survey, total = asked(SITES, allowed=[item for item in ITEMS if item not in withheld])
    return read_sums(total, survey, len(SITES), TRAIN)


@pytest.mark.parametrize(
    ("item", "columns"),
    [("moments", "age and chol"), ("histograms", "age and chol"), ("categories", "sex")],
)
def test_what_no_site_gives_is_one_sentence_with_its_columns_and_a_way_out(item, columns):
    with pytest.raises(ConfigError, match=f"no site gives {item} of {columns}") as e:
        check_given(given_items(item), READABLE, CFG)
    assert "preprocessing=local" in str(e.value)
    assert "client.policy.statistics" in str(e.value)


def test_items_that_no_constant_is_made_of_are_not_missed():
    cfg = replace(
        CFG, numeric_imputation="constant", outliers="keep", categorical_imputation="none"
    )
    check_given(given_items("histograms", "categories", "labels"), READABLE, cfg)
    check_given(given_items(), READABLE, CFG)


def test_one_site_that_gives_nothing_stops_no_other():
    survey, total = asked(SITES[:3])
    _, nothing = asked(SITES[3:], allowed=[])
    total = {name: total[name] + nothing[name] for name in total}
    check_given(read_sums(total, survey, 4, TRAIN), READABLE, CFG)


def test_values_that_one_site_alone_shows_are_no_sums_to_scale_by():
    only_age = Schema(SCHEMA.columns[:1], SCHEMA.classes)
    one = figures(of_one_site(), minimum=10, sample=TRAIN)
    assert (
        unshown(one, only_age) == "fewer than two sites show what values the numeric columns have"
    )
    assert unshown(one, SCHEMA) == ""  # all show chol
    assert unshown(figures(SITES, sample=TRAIN), only_age) == ""
    assert unshown(one, Schema(SCHEMA.columns[2:3], SCHEMA.classes)) == ""  # words have no scale
