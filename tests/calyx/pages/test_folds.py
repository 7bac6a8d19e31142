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
