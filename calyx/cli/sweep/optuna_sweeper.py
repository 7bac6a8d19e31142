"""A thin Hydra sweeper over Optuna's ask and tell: the number of a trial is that of its job."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from typing_extensions import override

from calyx.cli.facts import say
from calyx.cli.sweep.outcomes import Outcome, find_outcomes, objective_of, read_outcome
from calyx.cli.sweep.search import best_lines, describe_study, space_of
from calyx.cli.sweep.space import Space, distribution
from calyx.cli.sweep.study import Settings, open_study, read_settings, sampler, trials_wanted

if TYPE_CHECKING:
    from optuna import Study

_TARGET = "hydra_plugins.calyx.OptunaSweeper"  # as in conf/hydra/sweeper/optuna.yaml


def register() -> None:
    """Make `hydra/sweeper=optuna` known to Hydra.

    Hydra takes plugins of the namespace `hydra_plugins` only. The class is put there by name, so
    that no package of ours is needed beside the others, and it pickles as what it is.
    """
    from hydra.core.plugins import Plugins

    Plugins.instance().class_name_to_class[_TARGET] = OptunaSweeper


class OptunaSweeper(Sweeper):
    """Asks Optuna for trials, has the launcher run them as jobs, and tells what came of them."""

    def __init__(self, **section: object) -> None:
        self._settings: Settings
        self._launcher: Launcher
        self._config: Any  # OmegaConf's DictConfig

    @override
    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        from hydra.core.plugins import Plugins

        self._config, self._settings = config, read_settings(config.hydra.sweeper)
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    @override
    def sweep(self, arguments: list[str]) -> None:
        import optuna

        space = space_of(self._config, arguments)
        folder = Path(str(self._config.hydra.sweep.dir))
        wanted = describe_study(self._config, space)
        study = open_study(self._settings, folder, wanted)
        total = trials_wanted(self._settings, space)
        print(f"a search of {total} trials in {folder}", flush=True)
        while batch := self._next(study, space, total):
            for number, outcome in self._launch(study, space, batch):
                value = objective_of(outcome.summary, wanted["monitor"])
                state = {"pruned": optuna.trial.TrialState.PRUNED}.get(
                    outcome.status, optuna.trial.TrialState.FAIL
                )
                if value is None:
                    study.tell(number, state=state)
                else:
                    study.tell(number, value)
        for line in best_lines(find_outcomes(folder), wanted["monitor"]):
            say(line)

    def _next(self, study: "Study", space: Space, total: int) -> list[int]:
        """Numbers of the trials to run now: those that an earlier start left, then new ones."""
        from optuna.samplers import RandomSampler
        from optuna.trial import TrialState

        left = [trial.number for trial in study.get_trials(states=(TrialState.RUNNING,))]
        numbers = left[: self._settings.n_jobs]
        fixed = {key: distribution(part) for key, part in space.parts.items()}
        while len(numbers) < self._settings.n_jobs and len(study.trials) < total:
            study.sampler = sampler(self._settings, space, len(study.trials))
            numbers.append(study.ask(fixed).number)
        # What samplers do after a trial is for Optuna's own loop: the grid's would end it.
        study.sampler = RandomSampler()
        return numbers

    def _launch(
        self, study: "Study", space: Space, numbers: Sequence[int]
    ) -> Iterator[tuple[int, Outcome]]:
        """Run trials as jobs; each with what became of it."""
        trials = study.trials
        for run in _contiguous(numbers):  # a launcher numbers the jobs of a batch from its first
            words = [space.words(trials[number].params) for number in run]
            done = self._launcher.launch(words, initial_job_idx=run[0])
            for number, job in zip(run, done, strict=True):
                hydra: Any = job.hydra_cfg  # which Hydra sets before the job begins
                yield number, read_outcome(Path(hydra.hydra.runtime.output_dir), number)


def _contiguous(numbers: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] + 1 == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
