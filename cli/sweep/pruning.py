"""Pruning by rounds: a running job tells Optuna each round's figure, and may be given up.

It listens to the server's log, as the display does. What it raises there ends the run as Ctrl-C
does: the last checkpoint stays, and the run can be resumed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calyx.config import RunConfig

if TYPE_CHECKING:
    from optuna.trial import Trial

log = logging.getLogger(__name__)


class Pruned(Exception):
    """The search gives a job up; what it has done is on disk, and can be resumed."""


@contextmanager
def watching(hydra: Any, run: RunConfig, number: int) -> Iterator[None]:  # noqa: ANN401 - OmegaConf's DictConfig
    """Report the rounds of trial `number` inside the block, which may raise Pruned."""
    from cli.sweep.study import load_trial, read_settings

    settings = read_settings(hydra.sweeper)
    if settings.pruner == "none":
        yield
        return
    trial = load_trial(settings, Path(str(hydra.sweep.dir)), (number, run.rounds))
    listener = RoundListener(trial, run.stopping.monitor)
    logging.getLogger().addHandler(listener)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(listener)


class RoundListener(logging.Handler):
    """Tells a trial what `monitor` was in each round, and raises Pruned when it is to end."""

    def __init__(self, trial: "Trial", monitor: str) -> None:
        super().__init__(logging.INFO)
        self._trial, self._monitor = trial, monitor
        self._reported = set(trial.study.trials[trial.number].intermediate_values)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a round's row. Raises Pruned."""
        row = getattr(record, "row", None)
        if row is None:
            return
        from cli.sweep.study import storage_errors

        try:
            if row["round"] not in self._reported:  # a resumed run repeats its last round
                self._reported.add(row["round"])
                self._trial.report(row[self._monitor], row["round"])
            is_given_up = self._trial.should_prune()
        except storage_errors() as error:
            log.warning("Optuna's storage does not answer, so nothing is pruned: %s", error)
            return
        if is_given_up:
            raise Pruned(f"{self._monitor} {row[self._monitor]:.4f} after round {row['round']}")
