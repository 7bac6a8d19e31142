"""The section "Cross-validation" of report.html."""

import re
from types import SimpleNamespace

import pytest

from calyx.pages.folds import folds
from calyx.run.json_rows import parse_row
from calyx.run.summary import CrossValidation


def test_a_fold_below_zero_is_drawn_where_it_is(tmp_path):
    cv = {"k": 3, "mean": -2.0, "sd": 3.0, "folds": [0.5, -1.5, -5.0], "scored": 3, "unscored": 0}
    shown = folds(summary_with(cv), {})
    places = [
        float(x) for x in re.findall(r'<circle class="dot own" cx="([0-9.]+)"', shown.picture)
    ]
    mean = float(re.search(r'x1="([0-9.]+)" x2="[0-9.]+" y1="8"', shown.picture)[1])
    # A line from -5 to 1, from 20 to 580.
    assert places == pytest.approx([20 + 560 * (score + 5) / 6 for score in cv["folds"]], abs=0.1)
    assert mean == pytest.approx(20 + 560 * 3 / 6, abs=0.1)
    assert re.findall(r">(-?[0-9.]+)</text>", shown.picture) == ["-5", "0", "1"]


def summary_with(cv):
    return SimpleNamespace(cv=parse_row(CrossValidation, cv))


def test_what_the_folds_models_come_to_together_is_said_with_its_gain_or_why_it_is_not():
    cv = {"k": 3, "mean": 0.7, "sd": 0.1, "folds": [0.6, 0.7, 0.8], "scored": 3, "unscored": 0}
    told = {"score": 0.8, "best_member": 0.85, "mean_member": 0.75, "gain": -0.05}
    told["gain_over_mean"] = 0.05
    ensemble = {"combine": "vote", "figures": told, "tested_on": None, "models": [], "absent": {}}
    note = folds(summary_with(cv | {"ensemble": ensemble}), {}).note
    assert "(vote)" in note
    assert ".800, +.050 to the mean of the members and −.050 to the best" in note.replace("0.", ".")
    absent = dict.fromkeys(told, "there are no test rows")
    ensemble |= {"figures": dict.fromkeys(told), "absent": absent}
    assert "— there are no test rows." in folds(summary_with(cv | {"ensemble": ensemble}), {}).note
    assert "Together" not in folds(summary_with(cv), {}).note
