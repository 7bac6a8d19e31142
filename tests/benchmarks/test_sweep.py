"""benchmarks/sweep.py: the same jobs one by one and side by side, and how long both took."""

import pytest

from benchmarks import sweep


def test_sweeps_that_differ_in_a_model_are_no_measurement(monkeypatch):
    def pretended(folder, launcher, jobs, rounds):
        (folder / "sweep.csv").write_text(f"job,model_sha256\n0,{launcher}\n")

    monkeypatch.setattr(sweep, "_sweep", pretended)
    with pytest.raises(SystemExit, match="different models"):
        sweep.measure(1, 1)
