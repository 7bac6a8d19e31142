"""The measures of `benchmarks.stealing`, by hand; that it runs is `test_commands.py`'s."""

import numpy as np

from benchmarks.stealing.membership import measure
from benchmarks.stealing.prada import Prada


def test_members_are_told_by_a_threshold_that_one_in_a_hundred_others_passes():
    """Of 200 others two may pass, so that the threshold is the third greatest score."""
    others = np.arange(200.0)
    members = np.array([0.0, 197.0, 198.0, 500.0])
    tpr, auc = measure(members, others)
    assert tpr == 0.5  # 198 and 500
    assert auc == (0.5 + 197.5 + 198.5 + 200) / 4 / 200  # ties count half


def test_equal_scores_tell_nobody():
    """As of labels alone: nine tenths right on both sides are no member told."""
    right = np.array([1.0] * 90 + [0.0] * 10)
    assert measure(right, right) == (0.0, 0.5)


def test_prada_alarms_at_equal_distances_and_not_at_normal_rows():
    """What its paper says of steps along a grid, and of independent rows of many inputs."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 30)).astype(np.float32)
    grid = np.repeat(rows[:30], 10, axis=0)
    grid[::2, 0] += 1
    assert not _ask(rows)
    assert _ask(grid)


def _ask(rows):
    prada = Prada()
    return any(prada.observe(row, 0) for row in rows)
