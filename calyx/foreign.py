"""Files that somebody else may have made: run folders, schemas, configs. Read with care, or refused.

A run folder can come from anywhere. A link in it would have this user's rights: whoever opens the
folder would write into, or read from, a file that its maker chose. So there is none in it, and what
belongs to another user is read and never written. A path that the user names may be a link itself,
as mounted secrets are.
"""

import os
import stat
from pathlib import Path
from typing import Any

import yaml

from calyx.errors import UserError, printable
from calyx.files import check_tree

MOST_ENTRIES = 1_000_000  # of one folder, with all below it
MOST_CONFIG_BYTES = 2**26  # a schema of 100,000 columns has some 6 million
MOST_JSON_BYTES = 2**28


def check_links(folder: Path) -> None:
    """That there are plain files and folders only below `folder`. Raises UserError."""
    left = MOST_ENTRIES
    for root, folders, files in os.walk(folder):
        left -= len(folders) + len(files)
        if left < 0:
            raise UserError(
                f"{_shown(folder)} holds more than {MOST_ENTRIES:,} files; is it a run?"
            )
        for name in (*folders, *files):
            _check_plain(Path(root, name))


def check_own(folder: Path) -> None:
    """That `folder` is this user's, before anything is written into it. Raises UserError."""
    if folder.stat().st_uid != os.geteuid():
        raise UserError(
            f"{_shown(folder)} belongs to another user, and is read but never written; copy it, and use "
            "the copy."
        )


def _check_plain(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return  # a temporary file of a run that is going on
    if stat.S_ISLNK(mode):
        raise UserError(
            f"{_shown(path)} is a link, and a run folder has none: whoever made it chose where that leads. "
            "Put the file itself there, or take the link out."
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UserError(f"{_shown(path)} is neither a file nor a folder; take it out of the run.")


class _Loader(yaml.SafeLoader):
    """YAML without aliases: a few of them can stand for billions of values."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - as PyYAML
        refuse_alias(self)
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """Writes what stands twice in a tree twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def refuse_alias(loader: yaml.SafeLoader) -> None:
    """Raise MarkedYAMLError where an alias is next. For a loader's `compose_node`."""
    if loader.check_event(yaml.AliasEvent):
        mark = loader.peek_event().start_mark  # type: ignore[no-untyped-call]
        problem = "an alias (*name) stands for what is written elsewhere; write it here, too"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - a tree of plain values
    """A bounded tree. Raises yaml.YAMLError, ValueError or RecursionError."""
    values = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    check_tree(values)
    return values


def dump_yaml(values: dict[str, Any]) -> str:
    """YAML that `parse_yaml` reads."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def _shown(path: Path) -> str:
    return printable(str(path), 200)
