"""`calyx simulate`: check everything, then let Hydra run the job or the jobs of a sweep."""

import math
import os
import re
import sys
from argparse import ArgumentError, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calyx.composing import CONFIG_MODULE, CONFIG_NAME, compose, resolved
from calyx.errors import CalyxError, ConfigError
from server.folder import RunFolder


def main(arguments: Sequence[str]) -> int:
    """Run; returns the exit code. Raises CalyxError."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises, and this program says it in one sentence
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    options = _parse(arguments)
    flags = [a for a in arguments if a not in options.overrides]
    try:
        if not (
            options.help
            or options.hydra_help
            or options.cfg
            or options.info
            or options.shell_completion
        ):
            _check(options)
        _run_hydra([*flags, *options.overrides])
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_one_sentence(error)) from error
    return 0


def _parse(arguments: Sequence[str]) -> Namespace:
    """Hydra's own options, before, between or after the overrides. Raises ConfigError."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    # Instead of argparse's way, which is to print a usage of many lines and to exit.
    parser.exit_on_error = False
    try:
        options, unknown = parser.parse_known_intermixed_args(list(arguments))
    except ArgumentError as error:
        raise ConfigError(f"{error}; see `calyx simulate --help`.") from None
    if unknown:
        raise ConfigError(f"There is no option {unknown[0]}; see `calyx simulate --help`.")
    return options


def _check(options: Namespace) -> None:
    """Refuse what cannot run before Hydra makes a folder. Raises UserError."""
    from engines.planning import plan

    extra = (
        [f"hydra.searchpath=[file://{Path(options.config_dir).resolve()}]"]
        if options.config_dir
        else []
    )
    for number, overrides in enumerate(_jobs(options)):
        try:
            cfg = compose([*overrides, *extra], with_hydra=True)
        except ValueError as error:  # Hydra's word for a group that is null, for instance
            raise ConfigError(f"The config cannot be composed: {error}") from error
        sweep, single = Path(cfg.hydra.sweep.dir) / str(number), Path(cfg.hydra.run.dir)
        RunFolder(sweep if options.multirun else single).refuse_if_used()
        plan(_settled(cfg, single=not options.multirun))


def _jobs(options: Namespace) -> list[list[str]]:
    """The overrides of each job; a sweep of another sweeper than Hydra's basic one is checked as it goes."""
    if not options.multirun:
        return [list(options.overrides)]
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    overrides = OverridesParser.create().parse_overrides(list(options.overrides))
    [jobs] = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return [list(job) for job in jobs]


def _run_hydra(arguments: Sequence[str]) -> None:
    """Raises a job's failure; in a sweep the other jobs have run all the same."""
    import hydra

    from calyx.searchpath import register

    register()
    failures: list[Exception] = []

    def job(cfg: Any) -> float:  # noqa: ANN401 - OmegaConf's DictConfig
        try:
            return _job(cfg)
        except Exception as error:  # noqa: BLE001 - raised below; Hydra would add lines of its own
            failures.append(error)
            return math.nan

    sys.argv = ["calyx simulate", *arguments]
    hydra.main(f"pkg://{CONFIG_MODULE}", CONFIG_NAME, version_base="1.3")(job)()
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise CalyxError(f"{len(failures)} jobs failed; the first: {failures[0]}")


def _job(cfg: Any) -> float:  # noqa: ANN401 - OmegaConf's DictConfig
    """One run in the folder that Hydra made; returns the sweep's objective."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from cli.running import run_plan
    from engines.planning import plan

    job = HydraConfig.get()
    checked = plan(_settled(cfg, single=job.mode == RunMode.RUN))
    summary = run_plan(checked, Path(job.runtime.output_dir), resume=False)
    return float(summary[f"best_{checked.run.stopping.monitor}"])


def _settled(cfg: Any, *, single: bool) -> dict[str, Any]:  # noqa: ANN401 - OmegaConf's DictConfig
    """The resolved config with what depends on how and where it was started made explicit."""
    config = resolved(cfg)
    if config["baselines"] is None:
        config["baselines"] = single
    for section in (config["task"], config["client"]):
        if isinstance(section.get("data_dir"), str):
            section["data_dir"] = str(Path(section["data_dir"]).absolute())
    return config


def _one_sentence(error: Exception) -> str:
    """Hydra's lines as one sentence, without the advice on Hydra's own environment variables."""
    if isinstance(error.__cause__, CalyxError):
        return str(error.__cause__)
    unknown = re.search(r"Could not override '([^']+)'", str(error))
    if unknown:
        return f"There is no config key {unknown[1]}; `calyx simulate --cfg job` shows all."
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
