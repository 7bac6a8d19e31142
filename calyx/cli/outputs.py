"""Where commands write: files of `--out`, and the folder of a run or a sweep. Nothing needed is lost.

A run's folder is the one that its config names, or a new one where the clock names it: two runs that
are started in one second have two folders, since a name made of the time gets a number behind it where
it is taken. A folder that somebody has chosen is taken as it is. See docs/decisions/0044 and
docs/decisions/0045.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calyx.errors import UserError
from calyx.files.outputs import Output, claim_output, is_same, is_within, show_path
from calyx.files.plain import absolute, at_home
from calyx.run.folder import RunFolder, hold

_LEDGER = "ledger.jsonl"  # which every site's state folder has


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """The two options that all commands share."""
    parser.add_argument("--out", type=Path, metavar="FILE", help=what)
    parser.add_argument(
        "--replace", action="store_true", help="write over the file that --out names"
    )


def claim(
    options: argparse.Namespace,
    inputs: Sequence[Path],
    folders: Sequence[Path] = (),
    usual: Path | None = None,
) -> Output | None:
    """Where the options say that the output goes; `usual` without --out, None for the terminal.

    `inputs` and `folders` are as of `claim_output`. Raises UserError, before any work is done.
    """
    path: Path | None = options.out or usual
    if path is None:
        if options.replace:
            raise UserError("--replace is of --out=FILE; give both, or leave it out.")
        return None
    output = claim_output(path, inputs=inputs, folders=folders, replace=options.replace)
    if not output.is_stream:
        _refuse_in_a_run(path)
        if output.replace and path.exists():
            _refuse_a_sites_own(path)
    return output


@dataclass(frozen=True)
class Read:
    """What a command or a run reads, and no output may destroy."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...]  # of rows: nothing in them is touched


def read_by(config: Mapping[str, Any]) -> Read:
    """The files and the folders outside its own that a run reads, by its config."""
    sections = (config.get("task"), config.get("client"))
    task, client = (one if isinstance(one, Mapping) else {} for one in sections)
    named = [task.get("data_dir"), client.get("data_dir")]
    folders = dict.fromkeys(value for value in named if isinstance(value, str))
    schema = task.get("schema")
    return Read((Path(schema),) if isinstance(schema, str) else (), tuple(map(Path, folders)))


def check_run_folder(folder: RunFolder, config: Mapping[str, Any]) -> None:
    """Raise UserError where a run would write into its own data, or over files of somebody else."""
    refuse_data_folder(folder.path, config)
    folder.refuse_if_used()


def refuse_data_folder(folder: Path, config: Mapping[str, Any], *, is_sweep: bool = False) -> None:
    """Raise UserError where a run's folder holds the rows that are read, or a sweep's is theirs."""
    rows = read_by(config)
    for one in [*rows.folders, *rows.files]:
        if is_same(folder, one) or (is_within(one, folder) and not is_sweep):
            raise UserError(
                f"{show_path(folder)} holds the data ({show_path(one)}), and a run has a folder of its own; "
                "choose another hydra.run.dir or hydra.sweep.dir."
            )


def _refuse_in_a_run(path: Path) -> None:
    """Raise UserError for a file that a run has written or will write."""
    for place in _above(path):
        run = RunFolder(place)
        if not (run.config.is_file() and (run.checkpoints.is_dir() or run.summary.is_file())):
            continue
        for there in (path.absolute().parent.resolve() / path.name, path.resolve()):
            if there.is_relative_to(place) and run.is_own(there.relative_to(place).parts[0]):
                raise UserError(
                    f"{show_path(path)} is a file of the run in {show_path(place)}; choose another --out."
                )


def _refuse_a_sites_own(path: Path) -> None:
    """Raise UserError for what nobody could make again: keys, rosters, a site's ledger."""
    from calyx.trust.certificates import is_pem
    from calyx.trust.key_files import read_any

    if any(
        (place / _LEDGER).is_file() for place in {path.absolute().parent, path.resolve().parent}
    ):
        raise UserError(f"{show_path(path)} lies in a site's state folder; choose another --out.")
    try:
        is_key = is_pem(path) or read_any(path) is not None
    except UserError:
        is_key = False
    if is_key:
        raise UserError(
            f"{show_path(path)} is a key, a certificate or a roster; choose another --out."
        )


def _above(path: Path) -> Iterator[Path]:
    for place in dict.fromkeys((path.absolute().parent.resolve(), path.resolve().parent)):
        yield place
        yield from place.parents


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
    with hold(path, is_new=is_new, key="hydra.run.dir") as folder:
        yield RunFolder(folder)


def chosen_folder(section: Any) -> tuple[Path, bool]:  # noqa: ANN401 - OmegaConf's DictConfig
    """The folder of Hydra's section `run` or `sweep`, and whether the clock has named it.

    Raises UserError.
    """
    from omegaconf import OmegaConf

    written: Any = OmegaConf.to_container(section, resolve=False)
    return Path(at_home(str(section.dir))), _CLOCK in str(written["dir"])
