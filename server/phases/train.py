"""train: rounds until one of the reasons to stop."""

import logging
from dataclasses import replace

from calyx.words.sentences import say_count
from server.config import RunConfig
from server.phases.validate import test_best
from server.rounds import run_rounds
from server.run_context import RunContext

log = logging.getLogger(__name__)


def run(context: RunContext) -> RunContext:
    """All rounds that are left; each is told when it is on disk. Raises RoundFailed."""
    training, state = context.training(), context.state
    if context.folder.event_once("training", "info", sentence := settings_of(context.run)):
        log.info(sentence)
    if training.begun and training.begun.kind == "test":
        state = test_best(training, state)  # it is asked for once, also in a longer run
    state, why = run_rounds(training, state)
    return replace(context, state=state, why=why)


def settings_of(run: RunConfig) -> str:
    """How it trains and when it stops: some of it the config has left to the task."""
    training, stopping = run.training, run.stopping
    ends = "nothing ends it early"
    if stopping.patience is not None and stopping.patience + 1 < run.rounds:
        ends = f"{say_count(stopping.patience, 'round')} without a better {stopping.monitor} end it"
    return (
        f"Training: {say_count(run.rounds, 'round')} at most, {training.epochs} local epochs in batches "
        f"of {training.batch_size}, {training.optimizer} with a learning rate of "
        f"{training.lr}; {ends}."
    )
