"""Where a run or a sweep is put: the folder that its config names, or a new one where the clock does.

Two runs that are started in one second have two folders: a name that is made of the time gets a
number behind it where it is taken. A folder that somebody has chosen is taken as it is.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calyx.files import absolute, at_home
from cli.outputs import check_run_folder
from server.folder import RunFolder, held

_CLOCK = "${now:"


@contextmanager
def run_place(cfg: Any, config: Mapping[str, Any]) -> Iterator[RunFolder]:  # noqa: ANN401 - OmegaConf's DictConfig
    """The folder of a single run by its composed config; it goes again where nothing is put into it.

    `config` is the same, resolved. Raises UserError where the folder holds a run or the run's data, or
    cannot be made.
    """
    path, is_new = named(cfg.hydra.run)
    absolute(str(path))
    if not is_new:
        check_run_folder(RunFolder(path), config)
    with held(path, is_new=is_new, key="hydra.run.dir") as made:
        yield RunFolder(made)


def named(section: Any) -> tuple[Path, bool]:  # noqa: ANN401 - OmegaConf's DictConfig
    """The folder of Hydra's section `run` or `sweep`, and whether the clock has named it.

    Raises UserError.
    """
    from omegaconf import OmegaConf

    written: Any = OmegaConf.to_container(section, resolve=False)
    return Path(at_home(str(section.dir))), _CLOCK in str(written["dir"])
