"""Prediction sets and intervals of a release, by hand-made scores."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from calyx.data.schema import Schema, Target
from calyx.errors import CalyxError
from calyx.releases.card_parts import Conformal
from calyx.serving.answers import Answers, Told
from calyx.serving.coverage import Coverage

CLASSES = Schema((), ("no", "maybe", "yes"))
COST = Schema((), (), Target("cost", 100.0, 20.0))
# Nine of ten rows gave their true class a probability of 0.5 at least, and one of 0.25.
LIKELY = Conformal(score="probability", ends=(0.5, 0.25, 0.0), counts=(9, 1, 0))
# Eight rows were off by half a scale at most, one by a whole one, and one by more.
OFF = Conformal(score="absolute_error", ends=(0.5, 1.0), counts=(8, 1, 1))


def card(part):
    return SimpleNamespace(conformal=part, absent={"conformal": "nobody counted"})


def test_a_set_holds_the_classes_that_are_as_likely_as_true_ones():
    rows = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25]])
    # ⌈11 · 0.8⌉ = 9 of ten rows, and ⌈11 · 0.9⌉ = 10.
    assert Coverage(card(LIKELY), CLASSES, 0.8).sets(rows) == [("no",), ()]
    assert Coverage(card(LIKELY), CLASSES, 0.9).sets(rows) == [
        ("no", "maybe"),
        ("no", "maybe", "yes"),
    ]
    # ⌈11 · 0.95⌉ = 11: ten rows are too few, so that nothing may be left out.
    assert Coverage(card(LIKELY), CLASSES, 0.95).sets(rows) == [("no", "maybe", "yes")] * 2


def test_an_interval_is_as_wide_as_the_errors_were_in_the_targets_unit():
    # ⌈11 · 0.8⌉ = 9: a whole scale, which is 20.
    intervals = Coverage(card(OFF), COST, 0.8).intervals(np.array([[100.0], [50.0]]))
    assert intervals == [(80.0, 120.0), (30.0, 70.0)]


def test_an_interval_is_rounded_outwards_and_absent_where_the_answer_is():
    answers = Answers(COST, "label_and_probabilities", 3, Coverage(card(OFF), COST, 0.8))
    told = answers.write(np.array([[100.04], [np.nan]]), Told({}, ((), ())))
    assert json.loads(told)["predictions"] == [
        {"value": 100.0, "interval": [80.0, 120.1], "unusual": []},
        {"value": None, "interval": None, "unusual": []},
    ]


@pytest.mark.parametrize(
    ("part", "schema", "coverage", "said"),
    [
        (None, CLASSES, 0.9, "the release has none: nobody counted"),
        (OFF, COST, 0.9, "too many are further off"),
        (OFF, CLASSES, 0.8, "another kind of answer"),
    ],
)
def test_a_coverage_that_a_release_cannot_give_is_refused(part, schema, coverage, said):
    with pytest.raises(CalyxError, match=said):
        Coverage(card(part), schema, coverage)


@pytest.mark.parametrize(
    "values",
    [
        {"score": "probability", "ends": (0.5, 0.6, 0.0), "counts": (1, 1, 1)},
        {"score": "probability", "ends": (0.5, 0.1), "counts": (1, 1)},
        {"score": "probability", "ends": (0.5, 0.0), "counts": (0, 0)},
        {"score": "absolute_error", "ends": (0.5, 1.0), "counts": (1, 1)},
        {"score": "absolute_error", "ends": (-0.5, 1.0), "counts": (1, 1, 0)},
    ],
)
def test_cells_that_no_test_has_counted_are_no_part_of_a_card(values):
    with pytest.raises(ValueError, match="conformal"):
        Conformal(**values)
