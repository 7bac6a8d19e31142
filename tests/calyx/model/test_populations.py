"""Of whom a figure is: what can be compared with what."""

import math
from dataclasses import replace

import numpy as np
import pytest
from support.evaluations import CLASSES, of_logits, of_values

from calyx.data.schema import Schema, Target
from calyx.model.metrics import counts_of
from calyx.model.populations import Population, is_same_population, population_of, read_population

COST = Schema((), (), Target("cost", 100.0, 50.0))


def of_costs(true, names=("a",), over="rows"):
    counts = counts_of(of_values((np.array(true) - 100) / 50, true), COST, over)
    return population_of(COST, counts, names, asked=3)


def test_a_regressions_population_has_the_targets_mean_and_sd_in_its_own_unit():
    true = [41.2, 81.8, 94.4, 3000.0]
    found = of_costs(true)
    assert found.target_mean == pytest.approx(np.mean(true))
    assert found.target_sd == pytest.approx(np.std(true))
    assert (found.rows, found.clients, found.asked, found.over) == (4, 1, 3, "rows")


def test_a_classifiers_population_counts_rows_of_each_class():
    counts = counts_of(of_logits([0, 2, 2], np.zeros((3, 4))), CLASSES, "rows")
    assert population_of(CLASSES, counts, ["a"], 1).labels == (1, 0, 2, 0)


def test_where_rows_are_confidential_none_are_told():
    counts = counts_of(of_logits([0, 2, 2], np.zeros((3, 4))), CLASSES, "clients")
    found = population_of(CLASSES, counts, ["a"], 1)
    assert (found.rows, found.over) == (None, "clients")
    assert found.labels == pytest.approx((1 / 3, 0, 2 / 3, 0))
    assert of_costs([1, 2], over="clients").rows is None


def test_one_is_the_same_as_itself_from_json_and_within_rounding():
    one = of_costs([41.2, 81.8, 94.4])
    assert is_same_population(one, read_population(one.to_json()))
    assert is_same_population(one, replace(one, target_mean=one.target_mean * (1 + 1e-15)))
    assert is_same_population(one, replace(one, asked=9))


@pytest.mark.parametrize(
    "other",
    [
        of_costs([41.2, 81.8, 94.5]),
        of_costs([41.2, 81.8, 94.4], names=("b",)),
        of_costs([41.2, 81.8]),
        of_costs([41.2, 81.8, 94.4], over="clients"),
        None,
    ],
)
def test_other_rows_clients_or_weights_are_another_population(other):
    assert not is_same_population(of_costs([41.2, 81.8, 94.4]), other)


def test_what_is_no_population_is_none():
    assert [read_population(v) for v in (None, 3, {}, {"rows": 1})] == [None] * 4


@pytest.mark.parametrize(
    "lie",
    [
        {"labels": "abc"},
        {"labels": [math.nan]},
        {"labels": [[1]]},
        {"who": {}},
        {"rows": [1]},
        {"clients": "9"},
        {"asked": True},
        {"over": "pages"},
        {"target_mean": "NaN"},
        {"target_sd": math.inf},
    ],
)
def test_a_file_made_by_others_names_a_population_or_none(lie):
    honest = Population("rows", 3, 3, "a" * 16, 30, (10, 20))
    assert read_population(honest.to_json()) == honest
    assert read_population(honest.to_json() | lie) is None
