"""train: rounds until one of the reasons to stop."""

from dataclasses import replace

from server.phases.validate import test_best
from server.rounds import run_rounds
from server.work import Work


def run(work: Work) -> Work:
    """All rounds that are left; each is on disk before the next begins. Raises RoundFailed."""
    federation, state = work.federation(), work.state
    if federation.grid.underway and federation.grid.underway.kind == "test":
        state = test_best(federation, state)  # it is asked for once, also in a longer run
    state, why = run_rounds(federation, state)
    return replace(work, state=state, why=why)
