"""train: rounds until one of the reasons to stop."""

import logging
from dataclasses import replace

from calyx.config import RunConfig
from calyx.sentences import counted
from server.phases.validate import test_best
from server.rounds import run_rounds
from server.work import Work

log = logging.getLogger(__name__)


def run(work: Work) -> Work:
    """All rounds that are left; each is on disk before the next begins. Raises RoundFailed."""
    federation, state = work.federation(), work.state
    if work.folder.event_once("training", "info", sentence := _settings(work.run)):
        log.info(sentence)
    if federation.grid.underway and federation.grid.underway.kind == "test":
        state = test_best(federation, state)  # it is asked for once, also in a longer run
    state, why = run_rounds(federation, state)
    return replace(work, state=state, why=why)


def _settings(run: RunConfig) -> str:
    """How it trains, and when it stops: of these the task decides some, and the config the others."""
    training, patience = run.training, run.stopping.patience
    rounds, epochs = counted(run.rounds, "round"), counted(int(str(training["epochs"])), "epoch")
    until = (
        "none ends early"
        if patience is None
        else f"it ends after {counted(patience, 'round')} without a better {run.stopping.monitor}"
    )
    return (
        f"Training takes at most {rounds} of {epochs} in batches of {training['batch_size']}, with "
        f"{training['optimizer']} at a learning rate of {training['lr']}; {until}."
    )
