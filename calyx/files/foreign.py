"""Folders and texts that somebody else may have made: read with care, or refused in one sentence.

A run folder can come from anywhere. A link in it would have the rights of whoever opens the folder,
and lead where its maker chose: so there is none in it, and what belongs to another user is read and
never written. A few aliases of YAML, or brackets of JSON, can stand for more than a memory holds: so
both are counted before anything is built of them. A path that the user names may be a link itself,
as mounted secrets are. The decision is docs/decisions/0060.
"""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from calyx.errors import UserError, printable
from calyx.files.plain import beside, read_plain

MOST_ENTRIES = 1_000_000  # of one folder, with all below it
MOST_CONFIG_BYTES = 2**24  # of config.yaml; a schema of 100,000 columns has some 6 million
MOST_SUMMARY_BYTES = 2**26  # of summary.json
MOST_JSON_BYTES = 2**28  # of a file of a run; sums over 100,000 columns have some 100 million
MOST_VALUES = 1_000_000  # of a YAML file
MOST_BRACKETS = 5_000_000  # of a JSON file: an empty list of two letters takes 56 bytes
DEEPEST = 50  # mappings and lists inside one another
_TOO_LONG = "a number of more than 4,300 digits"
_SHOWN = 200  # characters of a path
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast


def check_links(folder: Path) -> None:
    """That `folder` and all below it are plain files and folders. Raises UserError.

    `folder` may be a link itself, and need not be there.
    """
    left = MOST_ENTRIES
    for root, folders, files in os.walk(folder, onerror=_unread):
        left -= len(folders) + len(files)
        if left < 0:
            raise UserError(
                f"{_show_path(folder)} holds more than {MOST_ENTRIES:,} files; is it a run?"
            )
        for name in (*folders, *files):
            check_plain(Path(root, name))


def check_plain(path: Path) -> None:
    """That a file of a run or a site, which need not be there, is plain, or a folder. Raises UserError."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return  # a temporary file of a run that is going on
    except OSError as error:
        raise UserError(f"{_show_path(path)} cannot be read: {error.strerror}.") from None
    if stat.S_ISLNK(mode):
        raise UserError(
            f"{_show_path(path)} is a link, and no file of a run or a site is one: whoever made it chose "
            "where it leads. Put the file itself there, or take the link out."
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UserError(f"{_show_path(path)} is neither a file nor a folder; take it out.")


def _unread(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        path = _show_path(Path(str(error.filename)))
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None


def check_own(folder: Path, first: str = "config.yaml") -> None:
    """That what lies in `folder` is this user's, before a file of it is written. Raises UserError.

    It is where the folder is, or the `first` file that a run writes: somebody may have made room for it,
    as whoever starts a container does. A network's file system may show other owners than the machine
    has: it is asked whose a file of ours would be.
    """
    owners = {folder.stat().st_uid}
    with suppress(OSError):
        owners.add((folder / first).lstat().st_uid)
    if os.geteuid() in owners or _owner_here(folder) in owners:
        return
    raise UserError(
        f"{_show_path(folder)} belongs to another user, and is read but never written; take a copy that is "
        f"yours, as `cp -r` makes it, and use that."
    )


def _owner_here(folder: Path) -> int | None:
    """Whose a new file in `folder` would be; None where none can be made.

    It has no name, where the disk has such files: a folder of somebody else stays as it is. Where it has
    not, as over a network, it is gone at once.
    """
    named = beside(folder / "x")
    for path, flags in ((folder, getattr(os, "O_TMPFILE", 0)), (named, os.O_CREAT | os.O_EXCL)):
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | flags, 0o600)
            try:
                return os.fstat(descriptor).st_uid
            finally:
                os.close(descriptor)
                named.unlink(missing_ok=True)
    return None


def refuse_alias(loader: Any) -> None:  # noqa: ANN401 - PyYAML's
    """Raise MarkedYAMLError where an alias is next. For a loader's `compose_node`."""
    if loader.check_event(yaml.AliasEvent):
        _refuse_alias(loader.peek_event())


def _refuse_alias(event: Any) -> None:  # noqa: ANN401 - PyYAML's
    problem = "an alias (*name) stands for what is written elsewhere; write it here, too"
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - a tree of plain values
    """A tree of few and flat values, counted before it is built.

    Raises yaml.YAMLError, ValueError or RecursionError.
    """
    check_size(text)
    return yaml.load(text, _Base)  # noqa: S506 - a safe one


def check_size(text: str) -> None:
    """That YAML stands for few and flat values; nothing is built, so that it takes no memory and no time.

    Raises ValueError, or yaml.YAMLError for what is no YAML.
    """
    left, depth = MOST_VALUES, 0
    for event in _events(text):
        left -= isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            _refuse_alias(event)
        if left < 0 or depth > DEEPEST:
            raise ValueError(f"more than {MOST_VALUES:,} values or {DEEPEST} levels")


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, Loader=_Base)


class _Dumper(yaml.SafeDumper):
    """Writes what stands twice in a tree twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def dump_yaml(values: dict[str, Any]) -> str:
    """YAML that `parse_yaml` reads."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def parse_json(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """A JSON value of few and flat parts, counted before they are built. Raises ValueError."""
    if data.count(b"[") + data.count(b"{") > MOST_BRACKETS:
        raise ValueError(f"more than {MOST_BRACKETS:,} brackets")
    try:
        return json.loads(data, parse_constant=_no_number, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("too many brackets inside one another") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"it is no JSON from line {error.lineno}, column {error.colno} on"
        ) from None
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None
    except ValueError as error:  # Python's own of a long number names a setting of Python's
        raise ValueError(_TOO_LONG if "int_max_str_digits" in str(error) else str(error)) from None


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def read_object(path: Path, limit: int = MOST_JSON_BYTES) -> dict[str, Any]:
    """The JSON object in a file of a run. Raises OSError, or ValueError where it is none."""
    value = parse_json(read_plain(path, limit))
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def _show_path(path: Path) -> str:
    return printable(str(path), _SHOWN)
