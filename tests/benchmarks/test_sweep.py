"""benchmarks/sweep.py: the same jobs one by one and side by side, and how long both took."""

import json

import pytest

from benchmarks import sweep


@pytest.mark.e2e
def test_both_sweeps_are_measured_and_end_with_the_same_models(started, capsys):
    sweep.main(["--jobs", "2", "--rounds", "1", "--json"])
    launchers = [w for words in started for w in words if w.startswith("hydra/launcher=")]
    assert launchers == ["hydra/launcher=basic", "hydra/launcher=joblib"]
    figures = json.loads(capsys.readouterr().out)
    assert (figures["jobs"], figures["rounds"]) == (2, 1)
    wanted = figures["side_by_side_s"] / figures["one_by_one_s"]
    assert figures["ratio"] == pytest.approx(wanted, abs=0.001)
    assert 0 < figures["ratio"] < 10


def test_sweeps_that_differ_in_a_model_are_no_measurement(monkeypatch):
    def pretended(folder, launcher, jobs, rounds):
        (folder / "sweep.csv").write_text(f"job,model_sha256\n0,{launcher}\n")

    monkeypatch.setattr(sweep, "_sweep", pretended)
    with pytest.raises(SystemExit, match="different models"):
        sweep.measure(1, 1)
