"""Sums that no rows can have are refused in a sentence: a member lies, or a file was written by hand."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.data.schema import Column, Schema, Table
from calyx.errors import CalyxError
from calyx.findings.figures import read_sums
from calyx.findings.figures_json import as_json
from calyx.survey.blocks import ALL, ITEMS, MEAN_STEPS, Survey
from calyx.survey.measuring import measure

SCHEMA = Schema(
    (
        Column("age", "numeric", low=0, high=100, may_be_missing=True),
        Column("sex", "categorical", categories=(0.0, 1.0)),
    ),
    ("a", "b"),
)
SURVEY = Survey(SCHEMA, 8, (ALL,))


def site(seed):
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(50, 10, 60), rng.integers(0, 2, 60)])
    x[:12, 0] = np.nan
    return Table(x, rng.integers(0, 2, 60))


def sums():
    parts = [measure(SURVEY, {ALL: site(seed)}, 10, ITEMS) for seed in range(3)]
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def with_cell(name, place, value):
    found = sums()
    cells = found[f"{ALL}/{name}"]
    cells = cells.astype(object) if abs(value) >= 2**62 else cells.copy()
    cells[place] = value
    return found | {f"{ALL}/{name}": cells}


def test_honest_sums_are_read():
    assert read_sums(sums(), SURVEY, 3).rows == 180


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("rows", 0, -1),
        ("rows", 0, 10**400),
        ("labels", 0, 0),  # of 180 rows
        ("missing", 0, 150),  # and 144 values
        ("category", 0, 1000),
        ("coded", 0, 37),  # of 36 missing values
        ("duplicates", 0, 181),
        ("class_present", 0, 10**6),
        ("cells", 0, 5),  # at one scale alone
        ("spread_mean", 1, 0),  # Σm² = 0 with Σm > 0
        ("spread_mean", 0, 4 << MEAN_STEPS),  # a mean above the range
        ("powers_missing", 2, 0),
        ("powers_label", 6, 0),
        ("square", 0, 0),
    ],
)
def test_sums_that_no_rows_can_have_are_refused_in_a_sentence(name, place, value):
    with pytest.raises(CalyxError, match=r"impossible|are none of its values"):
        read_sums(with_cell(name, place, value), SURVEY, 3)


@given(st.data())
def test_whatever_a_member_sends_within_its_cells_there_are_figures_or_a_sentence(data):
    block = data.draw(st.sampled_from(SURVEY.blocks(ALL)))
    values = st.one_of(st.integers(0, 200), st.integers(0, 3 * block.maximum))
    place = data.draw(st.integers(0, block.size - 1))
    told = with_cell(block.name, place, data.draw(values))
    with suppress(CalyxError):
        json.dumps(as_json(read_sums(told, SURVEY, 3)), allow_nan=False)
