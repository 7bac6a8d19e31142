"""Optuna's study of a sweep: its settings, its storage, its sampler and its pruner."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from calyx.cli.sweep.space import Choice, Space
from calyx.config.section import NonNegativeInt, PositiveInt, Section, config, parse
from calyx.errors import ConfigError, UserError
from calyx.files.plain import at_home
from calyx.seeding import rng

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import Trial

T = TypeVar("T")
FILE = "study.journal"
LOCK_WAIT_S = 3.0
_ATTRIBUTE = "calyx"


@config
class Settings:
    """The section `hydra.sweeper` of hydra/sweeper=optuna."""

    name: str
    n_trials: PositiveInt  # finished ones in all, also those of an earlier start
    n_jobs: PositiveInt  # trials that are asked for together, before any of them has ended
    sampler: Literal["tpe", "random", "grid", "cmaes"]
    seed: NonNegativeInt | None  # of the sampler; null takes another one each time
    storage: str | None  # a file, or SQLAlchemy's URL; null is a file in the sweep's folder
    study_name: str  # a storage may hold many studies
    pruner: Literal["none", "median", "hyperband"]
    prune_by: Literal["rounds"]  # what a trial is compared after
    warmup_trials: NonNegativeInt  # finished trials before the median pruner gives any up
    warmup_rounds: NonNegativeInt  # rounds of a trial before the median pruner may give it up
    params: Section  # more to search, key → override's value


def read_settings(section: Any) -> Settings:  # noqa: ANN401 - OmegaConf's DictConfig
    """The settings of a composed `hydra.sweeper`. Raises ConfigError."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(section, resolve=True)
    plain = {str(k): v for k, v in values.items()} if isinstance(values, dict) else {}
    plain.pop("_target_", None)
    settings = parse(Settings, plain, "hydra.sweeper")
    if settings.sampler == "cmaes" and find_spec("cmaes") is None:
        raise ConfigError("hydra.sweeper.sampler=cmaes needs a package: pip install cmaes.")
    return settings


def check_space(settings: Settings, space: Space) -> None:
    """Raise ConfigError if the sampler cannot search the space."""
    if settings.sampler == "grid":
        endless = [key for key, part in space.parts.items() if not part.values]
        if endless:
            raise ConfigError(
                f"hydra.sweeper.sampler=grid needs an end of values, and {endless[0]} is an "
                "interval; use range or choice, or another sampler."
            )
    if settings.sampler == "cmaes" and any(isinstance(p, Choice) for p in space.parts.values()):
        raise ConfigError("hydra.sweeper.sampler=cmaes searches numbers; use tpe for choices.")


def trials_wanted(settings: Settings, space: Space) -> int:
    """How many trials there are to be in all: a grid has an end."""
    if settings.sampler != "grid":
        return settings.n_trials
    points = 1
    for part in space.parts.values():
        points *= len(part.values)
    return min(settings.n_trials, points)


def check_no_other_study(settings: Settings, folder: Path, wanted: dict[str, Any]) -> None:
    """Raise UserError if there is a study of this name that searches something else."""
    from optuna import get_all_study_names, load_study

    place = _place(settings, folder)
    _refuse_locked(place)
    file = Path(place.removeprefix("sqlite:///"))
    if ("://" not in place or place.startswith("sqlite:///")) and not file.exists():
        return

    def look() -> None:
        storage = _open(place)
        if settings.study_name in get_all_study_names(storage):
            _refuse(load_study(study_name=settings.study_name, storage=storage), wanted, place)

    _ask(place, look)


def open_study(settings: Settings, folder: Path, wanted: dict[str, Any]) -> "Study":
    """The study, made if it is not there. `wanted` is what it searches, as JSON values.

    Raises UserError if it is another one, or the storage cannot be used.
    """
    from optuna import create_study

    place = _place(settings, folder)

    def make() -> "Study":
        study = create_study(
            storage=_open(place),
            study_name=settings.study_name,
            direction="minimize" if wanted["mode"] == "min" else "maximize",
            load_if_exists=True,
        )
        if not study.trials and not study.user_attrs:
            study.set_user_attr(_ATTRIBUTE, wanted)
        _refuse(study, wanted, place)
        return study

    study: Study = _ask(place, make)
    return study


def load_trial(settings: Settings, folder: Path, number: int, rounds: int) -> "Trial":
    """Trial `number`, which another process has asked for; it has so many `rounds` at most."""
    from optuna import load_study
    from optuna.trial import Trial

    place = _place(settings, folder)

    def load() -> Trial:
        study = load_study(
            study_name=settings.study_name,
            storage=_open(place),
            pruner=_pruner(settings, rounds),
        )
        return Trial(study, study.trials[number]._trial_id)

    trial: Trial = _ask(place, load)
    return trial


def sampler(settings: Settings, space: Space, number: int) -> "BaseSampler":
    """The sampler that proposes trial `number`.

    It is made anew for each trial, and seeded by its number: a study that goes on proposes what it
    would have proposed, and not the first trials again.
    """
    from optuna import samplers

    if settings.sampler == "grid":  # its seed is the order of the grid, and the same for all trials
        grid: dict[str, list[str | float | int | bool | None]] = {
            key: list(part.values) for key, part in space.parts.items()
        }
        return samplers.GridSampler(grid, seed=settings.seed)
    seed = None
    if settings.seed is not None:
        seed = int(rng(settings.seed, "optuna", round=number).integers(2**32))
    if settings.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    if settings.sampler == "cmaes":
        from calyx.cli.sweep.careful_cmaes import CarefulCmaEs

        return CarefulCmaEs(seed=seed)
    return samplers.TPESampler(seed=seed, constant_liar=settings.n_jobs > 1)


def _pruner(settings: Settings, rounds: int) -> "BasePruner":
    from optuna import pruners

    if settings.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=rounds)
    if settings.pruner == "median":
        return pruners.MedianPruner(settings.warmup_trials, settings.warmup_rounds)
    return pruners.NopPruner()


def storage_errors() -> tuple[type[Exception], ...]:
    """The exceptions that Optuna's storages raise."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    return (OptunaError, SQLAlchemyError, OSError, RuntimeError, ValueError, KeyError, ImportError)


def _place(settings: Settings, folder: Path) -> str:
    return at_home(settings.storage) if settings.storage else str(folder / FILE)


def _open(place: str) -> "BaseStorage":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if "://" in place:
        return optuna.storages.RDBStorage(place)
    from optuna.storages.journal import JournalFileBackend

    return optuna.storages.JournalStorage(JournalFileBackend(place))


def _refuse_locked(place: str) -> None:
    """Raise UserError if one program holds the lock of a journal all the time that we look.

    Who writes to a journal holds it for milliseconds. Optuna would wait for half a minute, warn, and
    then take the lock away, also from a program that is alive.
    """
    if "://" in place:
        return
    lock = Path(f"{place}.lock")
    first, until = _read_lock(lock), time.monotonic() + LOCK_WAIT_S
    while first is not None and _read_lock(lock) == first:
        if time.monotonic() > until:
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(first[1] / 1e9))
            raise UserError(
                f"Optuna's storage {place} is locked by another program, since {since}; wait until it "
                f"is done, choose another hydra.sweeper.storage, or remove {lock} if it has died."
            )
        time.sleep(0.05)


def _read_lock(lock: Path) -> tuple[int, int] | None:
    """Which lock it is and when it was taken; it is a link that leads to the journal, or nowhere yet."""
    try:
        status = lock.lstat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _ask(place: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except storage_errors() as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"Optuna's storage {place} cannot be used ({lines[0]}); wait if another program has it "
            "locked, or choose another hydra.sweeper.storage."
        ) from error


def _refuse(study: "Study", wanted: dict[str, Any], place: str) -> None:
    if study.user_attrs.get(_ATTRIBUTE) != wanted:
        raise UserError(
            f"The study {study.study_name} in {place} searches something else; give the overrides "
            "that it was begun with, or another hydra.sweeper.study_name and hydra.sweep.dir."
        )
