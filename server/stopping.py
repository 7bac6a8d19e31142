"""Global early stopping and the best model: pure functions of what was monitored."""

from calyx.config import Stopping
from server.checkpoints import Best, RunState


def is_better(value: float | None, best: Best | None, mode: str) -> bool:
    """Whether `value` beats the best so far; the first value always does, a tie never.

    None was not measured: it beats nothing but what was not measured either, and is older.
    """
    if best is None or best.value is None:
        return True
    if value is None:
        return False
    return value < best.value if mode == "min" else value > best.value


def reason_to_stop(state: RunState, stopping: Stopping) -> str | None:
    """Why the run should end after `state.round`, in one sentence, or None."""
    if stopping.patience is None or state.best is None:
        return None
    waited = state.round - state.best.round
    if waited < stopping.patience:
        return None
    return f"{stopping.monitor} was not better than in round {state.best.round} for {waited} rounds"
