"""Pruning by rounds: a running job tells Optuna each round's figure, and may be given up.

It listens to the server's log, as the display does. What it raises there ends the run as Ctrl-C
does: the last checkpoint stays, and the run can be resumed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from calyx.model.populations import read_population
from calyx.pages.ranking.entries import figure_of, is_same_rows
from calyx.run.rows import RoundRow, whose_of
from calyx.words.digits import number_texts
from server.config import RunConfig
from server.round_log import tell_at_once

if TYPE_CHECKING:
    from optuna.trial import Trial

log = logging.getLogger(__name__)


class Pruned(Exception):
    """The search gives a job up; what it has done is on disk, and can be resumed."""


@contextmanager
def watch_trial(hydra: Any, run: RunConfig, number: int) -> Iterator[None]:  # noqa: ANN401 - OmegaConf's DictConfig
    """Report the rounds of trial `number` inside the block, which may raise Pruned."""
    from calyx.cli.sweep.study import load_trial, read_settings

    settings = read_settings(hydra.sweeper)
    if settings.pruner == "none":
        yield
        return
    trial = load_trial(settings, Path(str(hydra.sweep.dir)), number, run.rounds)
    listener = RoundListener(trial, run.stopping.objective, run.seed)
    logging.getLogger().addHandler(listener)
    try:
        with tell_at_once():
            yield
    finally:
        logging.getLogger().removeHandler(listener)


class RoundListener(logging.Handler):
    """Tells a trial what `objective` was in each round, and raises Pruned when it is to end.

    Of a regression it tells the error in the target's own unit. A round's figure that cannot be
    compared with those of other trials is not told: one that does not rank within its run, or that
    is of other rows than the first trial's of the same seed.
    """

    def __init__(self, trial: "Trial", objective: str, seed: int) -> None:
        super().__init__(logging.INFO)
        self._trial, self._objective, self._seed = trial, objective, seed
        self._reported = set(trial.study.trials[trial.number].intermediate_values)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        row: RoundRow | None = getattr(record, "row", None)
        if row is None:
            return
        from calyx.cli.sweep.study import storage_errors

        metric = "r2" if any(name.endswith("_rmse") for name in row.figures) else "accuracy"
        figure = figure_of(self._objective, metric)
        value = row.figure(figure)
        if value is None or row.best_round is None:
            return
        try:
            if not self._is_comparable(row):
                return
            if row.round not in self._reported:  # a resumed run repeats its last round
                self._reported.add(row.round)
                self._trial.report(value, row.round)
            is_given_up = self._trial.should_prune()
        except storage_errors() as error:
            log.warning("Optuna's storage does not answer, so nothing is pruned: %s", error)
            return
        if is_given_up:
            raise Pruned(f"{figure} {number_texts([value])[0]} after round {row.round}")

    def _is_comparable(self, row: RoundRow) -> bool:
        """Whether the row is of the rows that the study's first trial of this seed was judged on."""
        whose = whose_of(row.validated_on, self._objective)
        key = f"validated_on, seed {self._seed}"
        first = self._trial.study.user_attrs.get(key)
        if first is None and whose is not None:
            self._trial.study.set_user_attr(key, whose.to_json())
            return True
        return is_same_rows(read_population(first), whose)
