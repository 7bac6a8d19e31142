"""Where a run or a sweep is put: the folder that its config names, or a new one where the clock does.

Two runs that are started in one second have two folders: a name that is made of the time gets a
number behind it where it is taken. A folder that somebody has chosen is taken as it is.
See docs/decisions/0044.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calyx.cli.outputs import check_run_folder, refuse_data_folder
from calyx.files.plain import absolute, at_home
from calyx.run.folder import RunFolder, held

_CLOCK = "${now:"


@contextmanager
def run_place(cfg: Any, config: Mapping[str, Any]) -> Iterator[RunFolder]:  # noqa: ANN401 - OmegaConf's DictConfig
    """The folder of a single run by its config, composed and settled; it goes again where it stays empty.

    Raises UserError where it holds a run, the rows that are read, or files of somebody else, or cannot
    be made.
    """
    path, is_new = chosen_folder(cfg.hydra.run)
    absolute(str(path))
    if is_new:
        refuse_data_folder(path, config)
    else:
        check_run_folder(RunFolder(path), config)
    with held(path, is_new=is_new, key="hydra.run.dir") as made:
        yield RunFolder(made)


def chosen_folder(section: Any) -> tuple[Path, bool]:  # noqa: ANN401 - OmegaConf's DictConfig
    """The folder of Hydra's section `run` or `sweep`, and whether the clock has named it.

    Raises UserError.
    """
    from omegaconf import OmegaConf

    written: Any = OmegaConf.to_container(section, resolve=False)
    return Path(at_home(str(section.dir))), _CLOCK in str(written["dir"])
