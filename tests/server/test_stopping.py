"""When a run ends early, and what counts as better."""

import numpy as np
import pytest

from calyx.config import Stopping
from server.checkpoints import Best, RunState
from server.stopping import is_better, reason_to_stop


def at(round, best_round):
    weights = {"w": np.zeros(1, np.float32)}
    return RunState("run", "digest", round, weights, {}, Best(best_round, 0.5, weights))


@pytest.mark.parametrize(
    ("value", "mode", "expected"),
    [(0.4, "min", True), (0.5, "min", False), (0.6, "max", True), (0.5, "max", False)],
)
def test_only_a_strictly_better_value_counts(value, mode, expected):
    assert is_better(value, at(3, 3).best, mode) is expected
    assert is_better(value, None, mode)


def test_a_run_ends_when_patience_rounds_brought_nothing_better():
    stopping = Stopping(monitor="val_loss", mode="min", patience=3)
    assert reason_to_stop(at(7, 5), stopping) is None
    assert (
        reason_to_stop(at(8, 5), stopping) == "val_loss was not better than in round 5 for 3 rounds"
    )
    assert (
        reason_to_stop(at(99, 5), Stopping(monitor="val_loss", mode="min", patience=None)) is None
    )
