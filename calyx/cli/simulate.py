"""`calyx simulate`: check everything, then run the job; `-m` is `calyx/cli/sweep/`."""

import gc
import math
import os
from argparse import ArgumentError, Namespace
from collections.abc import Sequence
from dataclasses import replace

from calyx.cli.hydra_program import (
    blame_experiment,
    compose_config,
    one_sentence,
    run_composed,
    run_hydra,
    search_path,
)
from calyx.cli.idle import idle_settings, refuse_undone
from calyx.cli.outputs import run_place
from calyx.cli.overrides import quote_overrides
from calyx.cli.stages import Waiting
from calyx.composing.compose import settle
from calyx.errors import ConfigError
from calyx.files.plain import at_home


def main(arguments: Sequence[str]) -> int:
    """Run; returns the exit code. Raises CalyxError."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises, and this program says it in one sentence
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    options = _parse(arguments)
    flags = [_at_home(a) for a in arguments if a not in options.overrides]
    options.overrides = quote_overrides(options.overrides, sweeps=options.multirun)
    only_shows = any(
        (options.help, options.hydra_help, options.cfg, options.info, options.shell_completion)
    )
    gc.disable()  # until the run begins: it would look for garbage in what is only being loaded
    try:
        if options.multirun and not only_shows:
            from calyx.cli.sweep.running import run_sweep

            return run_sweep(options, flags)
        if only_shows:
            run_hydra([*flags, *options.overrides], lambda _: math.nan)
        else:
            _check_and_run(options)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_sentence(error)) from error
    finally:
        gc.enable()
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
    if options.config_dir:
        options.config_dir = at_home(options.config_dir)
    if unknown:
        raise ConfigError(f"There is no option {unknown[0]}; see `calyx simulate --help`.")
    _refuse_flags(options)
    return options


def _at_home(flag: str) -> str:
    """One of Hydra's own options, or its value, with the home folder in place of `~`."""
    option, equals, value = flag.partition("=")
    return f"{option}={at_home(value)}" if equals else at_home(flag)


def _refuse_flags(options: Namespace) -> None:
    """Raise ConfigError for what Hydra's parser takes and nothing here would obey."""
    for name in ("config_path", "config_name", "experimental_rerun"):
        if getattr(options, name, None):
            flag = name.replace("_", "-")
            raise ConfigError(
                f"--{flag} is of other programs on Hydra; `calyx simulate` has one config, and "
                "--config-dir adds files of your own to it."
            )
    for name in ("package", "resolve"):
        if getattr(options, name, None) and not (options.cfg or options.info):
            raise ConfigError(f"--{name} goes with --cfg, which shows the config and runs nothing.")
    if options.run and options.multirun:
        raise ConfigError("--run is a single run and --multirun a sweep; give one of them.")


def _check_and_run(options: Namespace) -> None:
    """Refuse what cannot run, and then run it. Raises CalyxError; no empty folder is left."""
    from calyx.simulation.planning import plan

    cfg = compose_config([*options.overrides, *search_path(options.config_dir)])
    with blame_experiment(cfg, options.overrides):
        config = settle(cfg, single=True)
        refuse_undone(options.overrides, config, "simulate")
    with run_place(cfg, config) as folder:
        with blame_experiment(cfg, options.overrides), Waiting() as waiting:
            checked = plan(config, progress=waiting.progress)
        idle = idle_settings(cfg.hydra.overrides.task, config)
        checked = replace(checked, warnings=(*checked.warnings, *idle))

        def job() -> None:
            from calyx.cli.running import run_plan

            run_plan(checked, folder.path, resume=False)

        run_composed(cfg, folder.path, job)
