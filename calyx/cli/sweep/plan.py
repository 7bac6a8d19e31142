"""A sweep is planned before it is begun: every job composed and checked, nothing on disk."""

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import Any

from calyx.cli.hydra_program import search_path
from calyx.cli.idle import (
    JobWords,
    check_search,
    collect_written,
    idle_in_all,
    idle_words,
    no_effect,
    refuse_undone,
    undone_words,
)
from calyx.cli.outputs import chosen_folder, refuse_data_folder
from calyx.cli.overrides import quote_value
from calyx.cli.sweep.folders import (
    BegunJob,
    check_rows,
    refuse_foreign_files,
    trials_below,
    what_to_do,
)
from calyx.cli.sweep.space import candidates, parse_overrides, read_params
from calyx.composing.compose import compose, compose_master, settle
from calyx.config.section import canonical_json
from calyx.errors import ConfigError, UserError
from calyx.run.folder import RunFolder, hold
from calyx.run.order import terms_of
from calyx.words.extras import advise_extra
from server.config import RunConfig

EXTRAS = {  # of `hydra/launcher=` and `hydra/sweeper=`: the distribution, and the extra that has it
    "joblib": ("hydra-joblib-launcher", "sweep"),
    "optuna": ("optuna", "sweep"),
    "submitit_local": ("hydra-submitit-launcher", "slurm"),
    "submitit_slurm": ("hydra-submitit-launcher", "slurm"),
}


@dataclass(frozen=True)
class PlannedJob:
    """One job of a sweep, checked."""

    number: int
    overrides: tuple[str, ...]  # without Hydra's own
    folder: Path


@dataclass(frozen=True)
class Sweep:
    """A sweep that can start. `jobs` is None where the sweeper chooses them as it goes."""

    folder: Path
    sweeper: str  # its name: basic, optuna, or another plugin's
    jobs: tuple[PlannedJob, ...] | None
    objective: str  # what the jobs are compared by, where a job's own summary does not say
    settling: tuple[str, ...]  # overrides that make explicit what the jobs must agree on
    idle: tuple[str, ...]  # sentences on overrides that have no effect


@contextmanager
def plan_sweep(options: Namespace) -> Iterator[Sweep]:
    """A sweep whose jobs' configs, data and folders are checked. Its folder, which is made here, goes again
    where nothing is put into it. Raises UserError.
    """
    words: list[str] = list(options.overrides)
    _check_extras(words)
    master = _compose_master([*words, *search_path(options.config_dir)])
    refuse_undone(words, {}, "sweep")
    path, is_new = chosen_folder(master.hydra.sweep)
    _check_folder(path)
    with hold(path, is_new=is_new, key="hydra.sweep.dir") as folder:
        yield _plan(options, master, folder)


def _plan(options: Namespace, master: Any, folder: Path) -> Sweep:  # noqa: ANN401 - OmegaConf's DictConfig
    words: list[str] = list(options.overrides)
    fixed = [f"hydra.sweep.dir={quote_value(str(folder))}"]
    sweeper = master.hydra.runtime.choices["hydra/sweeper"]
    if sweeper == "optuna":
        from calyx.cli.sweep.search import samples_of

        samples, at_once = samples_of(master, words), int(master.hydra.sweeper.n_jobs)
    else:
        samples = _jobs(words, master)
        at_once = len(samples)
    workers = _at_once(master, at_once)
    if workers is not None:
        fixed.append(f"hydra.launcher.n_jobs={workers}")
    extra = [*fixed, *search_path(options.config_dir)]
    planned, runs, idle = _check_jobs(samples, extra, are_jobs=sweeper == "basic")
    if sweeper == "optuna":
        from calyx.cli.sweep.search import check_aim, check_study

        check_search(words, str(master.hydra.sweeper.pruner))
        check_aim(master, words, [one.stopping.objective for one in runs])
        check_study(master, words, folder)
        check_rows(trials_below(folder))
    jobs = planned if sweeper == "basic" else None
    return Sweep(folder, sweeper, jobs, runs[0].stopping.objective, tuple(fixed), idle)


def _compose_master(words: Sequence[str]) -> Any:  # noqa: ANN401 - OmegaConf's DictConfig
    from hydra.errors import ConfigCompositionException

    try:
        return compose_master(words)
    except ConfigCompositionException:
        swept = {o.get_key_element() for o in parse_overrides(words) if o.is_sweep_override()}
        for word in words:
            group = word.partition(".")[0]
            if group in swept and "=" in word.partition(".")[2]:
                raise ConfigError(
                    f"{word} is about {group}, which is swept, and Hydra looks for it in the default "
                    f"one; write ++{word}, which sets it in each job."
                ) from None
        raise


def _check_extras(words: Sequence[str]) -> None:
    for word in words:
        key, _, name = word.partition("=")
        if key not in ("hydra/launcher", "hydra/sweeper") or name not in EXTRAS:
            continue
        distribution, extra = EXTRAS[name]
        try:
            version(distribution)
        except PackageNotFoundError:
            raise ConfigError(f"{word} needs the extra {extra}: {advise_extra(extra)}") from None
        if name == "submitit_slurm" and which("sbatch") is None:
            raise ConfigError(f"{word} needs Slurm, and there is no sbatch on this machine.")


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; choose another hydra.sweep.dir.")
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"The folder {there} cannot be written; choose another hydra.sweep.dir.")
    refuse_foreign_files(folder)
    if RunFolder(folder).holds_run:
        raise UserError(
            f"The folder {folder} holds a single run and no sweep; choose another hydra.sweep.dir."
        )


def _jobs(words: Sequence[str], master: Any) -> list[list[str]]:  # noqa: ANN401 - OmegaConf's DictConfig
    """The overrides of each job as Hydra's basic sweeper makes them. Raises ConfigError if there are none."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    overrides = parse_overrides([*read_params(master), *words])
    for override in overrides:
        if not override.is_sweep_override():
            continue
        if not override.is_discrete_sweep():
            raise ConfigError(
                f"{override.input_line} has no end of values; name them, or use "
                "hydra/sweeper=optuna, which chooses from an interval."
            )
        candidates(override)
    [jobs] = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return [list(job) for job in jobs]


def _at_once(master: Any, jobs: int) -> int | None:  # noqa: ANN401 - OmegaConf's DictConfig
    """How many jobs the joblib launcher runs at once; None for other launchers. Raises ConfigError."""
    if master.hydra.runtime.choices["hydra/launcher"] != "joblib":
        return None
    from joblib import effective_n_jobs

    wanted = master.hydra.launcher.n_jobs
    if not isinstance(wanted, int) or wanted == 0:
        raise ConfigError(
            f"hydra.launcher.n_jobs is {wanted}; give how many jobs run at once, or -1 for one a core."
        )
    return max(1, min(int(effective_n_jobs(wanted)), jobs))


def _check_jobs(
    jobs: Sequence[Sequence[str]], extra: Sequence[str], *, are_jobs: bool
) -> tuple[tuple[PlannedJob, ...], list[RunConfig], tuple[str, ...]]:
    """Plan each, and look at its folder if they are the very jobs and not samples of a search."""
    from omegaconf import open_dict

    from calyx.simulation.planning import check_config, check_simulated, plan

    planned: list[PlannedJob] = []
    runs: list[RunConfig] = []
    idle: list[JobWords] = []
    undone: list[JobWords] = []
    seen: set[str] = set()  # data that has been read
    begun: list[BegunJob] = []
    for number, words in enumerate(jobs):
        try:
            cfg = compose([*words, *extra], with_hydra=True)
            config = settle(cfg, single=False)
            checked = check_config(config)
            check_simulated(checked)
        except ConfigError as error:
            raise ConfigError(f"{_of_job(words, jobs)}{error}") from error
        except ValueError as error:  # Hydra's word for a group that is null, for instance
            raise ConfigError(f"The config cannot be composed: {error}") from error
        with open_dict(cfg.hydra.job):
            cfg.hydra.job.num = number
        runs.append(checked.run)
        there = set(collect_written(words, config).values())
        idle.append(JobWords(there, dict(idle_words(words, config))))
        undone.append(JobWords(there, dict(undone_words(words, config))))
        source = canonical_json([config[key] for key in ("task", "client", "preprocessing")])
        if source not in seen:  # seeds split the same rows otherwise, which takes its time
            seen.add(source)
            plan(config)
        home = Path(str(cfg.hydra.sweep.dir))
        refuse_data_folder(home, config, is_sweep=True)
        folder = home / str(cfg.hydra.sweep.subdir)
        if are_jobs:
            held_job = RunFolder(folder)
            todo = what_to_do(held_job, checked.run, config)
            begun.append(BegunJob(held_job, checked.run, terms_of(config), todo))
            refuse_data_folder(folder, config)
        if any(folder == other.folder for other in planned) and are_jobs:
            raise ConfigError(
                f"Two jobs would write to {folder}; make hydra.sweep.subdir differ between them."
            )
        planned.append(PlannedJob(number, tuple(cfg.hydra.overrides.task), folder))
    if not runs:
        raise ConfigError("The sweep has no jobs.")
    for word, why in idle_in_all(undone).items():
        raise ConfigError(no_effect(word, why))
    if any(job.todo != "nothing" for job in begun):
        check_rows(begun)
    said = tuple(f"{word} has no effect: {why}." for word, why in idle_in_all(idle).items())
    return tuple(planned), runs, said


def _of_job(words: Sequence[str], jobs: Sequence[Sequence[str]]) -> str:
    """Which of the jobs is meant: by what others do not have."""
    own = [word for word in words if not all(word in other for other in jobs)]
    return f"With {' '.join(own)}: " if own else ""
