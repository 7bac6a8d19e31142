"""The benchmark of drift: it judges what `compare` judges, and sees what is there."""

import json

import numpy as np
import pytest

from benchmarks import drift
from calyx.seeding import rng
from calyx.statistics.drift import SEVERITIES, Counts, Pair, compare, judge, measure


@pytest.mark.parametrize("clients", [0, 1])
@pytest.mark.parametrize("rows", [200, 1000])
def test_an_unchanged_population_alarms_in_at_most_one_window_of_a_hundred(rows, clients):
    got = drift.false_alarms(drift.Setting(13, rows, clients), 2000, seed=7)
    assert got.alarms <= 0.01


def test_a_large_shift_is_found_and_none_is_not():
    of = drift.Setting(13, 1000, 0)
    assert drift.power("mean + 1 sd", of, 50, seed=7).alert == 1
    assert drift.false_alarms(of, 50, seed=7).alarms < 0.1


def test_it_judges_stacked_windows_as_compare_judges_each():
    draw = rng(7, "stacked")
    kinds = [drift.CHANGES["mean + 0.5 sd"], *drift.UNCHANGED]
    before, after = (
        drift.audit(draw, np.stack([getattr(k, side) for k in kinds]), 1000, 2)
        for side in ("before", "after")
    )
    ordered = np.array([k.is_ordered for k in kinds])
    levels = judge(
        measure(before[None].astype(float), after[None].astype(float), (18, 18)), ordered
    )
    pairs = [
        Pair(str(i), *(Counts(side[i, :-1], int(side[i, -1]), 18) for side in (before, after)), o)
        for i, o in enumerate(ordered)
    ]
    assert [SEVERITIES[level] for level in levels[0]] == [d.severity for d in compare(pairs)]
    assert levels.any()


def test_clients_leave_out_their_own_small_cells():
    shares = np.array([0.9, 0.1])
    assert drift.audit(rng(1, "x"), shares, 50, 5).tolist()[1] == 0
    assert drift.audit(rng(1, "x"), shares, 50, 0).tolist()[1] > 0


def test_the_figures_are_json(capsys):
    drift.main(["--json", "--windows", "8"])
    found = json.loads(capsys.readouterr().out)
    assert len(found["alarms"]) == 27
    assert found["limits"]["alpha"] == 0.005
