"""What a run computes once."""

from support.federation import Federation
from support.taps import run_server

from server import run_context


def test_a_model_is_built_once_a_run_and_once_a_fold(tmp_path, monkeypatch):
    """Counted by hand: the run's own, and those of two folds; also when the run goes on."""
    folds, real = [], run_context.initial_model

    def build(task, width, seed, fold=None):
        folds.append(fold)
        return real(task, width, seed, fold)

    monkeypatch.setattr(run_context, "initial_model", build)
    federation = Federation("task.num_clients=3", "cv.k=2", "rounds=1")
    run_server(federation, federation.inner, tmp_path / "run")
    assert folds == [None, 0, 1]
    folds.clear()
    run_server(federation, federation.inner, tmp_path / "run", resume=True, rounds=2)
    assert folds == [None, 0, 1]
