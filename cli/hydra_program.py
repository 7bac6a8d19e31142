"""Hydra's own `main`, which runs a job, or has its sweeper and its launcher run many."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from calyx.composing import CONFIG_MODULE, CONFIG_NAME


def run_hydra(arguments: Sequence[str], job: Callable[[Any], float]) -> None:
    """Run `job` on the composed config, once or for each job of a sweep. Raises what it raises."""
    import hydra

    from calyx.searchpath import register

    register()

    sys.argv = ["calyx simulate", *arguments]
    hydra.main(f"pkg://{CONFIG_MODULE}", CONFIG_NAME, version_base="1.3")(job)()


def search_path(config_dir: str | None) -> list[str]:
    """The override that stands for `--config-dir`, where something is composed without Hydra's `main`."""
    return [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
