"""Hydra's own `main`, which runs a job, or has its sweeper and its launcher run many; its errors."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calyx.cli.overrides import quote_overrides, quote_value, why_ambiguous, why_unreadable
from calyx.composing.compose import CONFIG_MODULE, CONFIG_NAME, compose, hydra_begun
from calyx.errors import CalyxError, ConfigError


def run_hydra(arguments: Sequence[str], job: Callable[[Any], float]) -> None:
    """Run `job` on the composed config, once or for each job of a sweep. Raises what it raises."""
    import hydra

    from calyx.composing.searchpath import register

    register()

    sys.argv = ["calyx simulate", *arguments]
    hydra.main(f"pkg://{CONFIG_MODULE}", CONFIG_NAME, version_base="1.3")(job)()


def run_composed(cfg: Any, folder: Path, job: Callable[[], None]) -> None:  # noqa: ANN401 - OmegaConf's DictConfig
    """Run a `job` in its folder as Hydra's `main` does, which would first compose the same config twice.

    Logging, environment and callbacks are those of Hydra's own part of the config. Raises what it raises.
    """
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import configure_log, run_job
    from hydra.types import HydraContext, RunMode
    from omegaconf import read_write

    if cfg.hydra.mode == RunMode.MULTIRUN:
        raise ConfigError("hydra.mode=MULTIRUN is a sweep; start one with `calyx simulate -m`.")
    failures: list[Exception] = []

    def run(_: Any) -> None:  # noqa: ANN401 - OmegaConf's DictConfig
        try:
            job()
        except Exception as error:  # noqa: BLE001 - raised below: Hydra would add lines of its own
            failures.append(error)

    with read_write(cfg.hydra):
        cfg.hydra.run.dir = str(folder)  # Hydra's clock would have gone on
    with hydra_begun():
        context = HydraContext(GlobalHydra.instance().config_loader(), Callbacks(cfg))
    configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose)
    context.callbacks.on_run_start(config=cfg, config_name=CONFIG_NAME)
    ended = run_job(run, cfg, "hydra.run.dir", None, context)
    context.callbacks.on_run_end(config=cfg, config_name=CONFIG_NAME, job_return=ended)
    if failures:
        raise failures[0]


def search_path(config_dir: str | None) -> list[str]:
    """The override that stands for `--config-dir`, where something is composed without Hydra's `main`."""
    if not config_dir:
        return []
    return [f"hydra.searchpath=[{quote_value(f'file://{Path(config_dir).resolve()}')}]"]


def compose_config(overrides: Sequence[str]) -> Any:  # noqa: ANN401 - OmegaConf's DictConfig
    """The config of `overrides`, with Hydra's own part. Raises UserError in one sentence."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        return compose(quote_overrides(overrides), with_hydra=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_sentence(error)) from error
    except ValueError as error:  # Hydra's word for a group that is null, for instance
        raise ConfigError(f"The config cannot be composed: {error}") from error


@contextmanager
def blame_experiment(cfg: Any, overrides: Sequence[str]) -> Iterator[None]:  # noqa: ANN401 - OmegaConf's DictConfig
    """Where a key does not exist that no override wrote, say that the experiment did."""
    try:
        yield
    except ConfigError as error:
        key = re.match(r"The config key (\S+) does not exist", str(error))
        experiment = cfg.hydra.runtime.choices.get("experiment")
        keys = [word.lstrip("+~").partition("=")[0] for word in overrides]
        if key is None or experiment is None or key[1] in keys:
            raise
        raise ConfigError(
            f"{error} experiment={experiment} sets it; ~{key[1]} leaves it out."
        ) from error


def one_sentence(error: Exception) -> str:
    """Hydra's lines as one sentence, without the advice on Hydra's own environment variables."""
    from hydra.errors import OverrideParseException

    if isinstance(error.__cause__, CalyxError):
        return str(error.__cause__)
    if isinstance(error, OverrideParseException):
        return why_unreadable(error.override)
    several = re.match(r"Ambiguous value for argument '(.*)'$", str(error), re.MULTILINE)
    if several:
        return why_ambiguous(several[1])
    unknown = re.search(r"Could not override '([^']+)'", str(error))
    if unknown:
        return f"There is no config key {unknown[1]}; `calyx simulate --cfg job` shows all."
    chosen = re.search(r"To override a value use 'override ([^:']+): ([^']+)'", str(error))
    if chosen:
        return f"{chosen[1]} is chosen already; write {chosen[1]}={chosen[2]}, without a plus sign."
    noise = (
        "full_key:",
        "object_type=",
        "Config search path",
        "provider=",
        "Set the env",
        "See https",
    )
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(noise)]
    return " ".join(kept).rstrip(".") + "."
