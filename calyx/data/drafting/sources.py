"""The files that a draft is made of, and which of their columns all of them have."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calyx.data.csv.folder import copies, describe_left_out, files_by_client, list_names, tables_in
from calyx.data.csv.rows import Dialect
from calyx.data.csv.split import part_folders
from calyx.data.tables import read_header
from calyx.data.words import exact, fold
from calyx.errors import DataError, printable
from calyx.words.sentences import join_names


@dataclass(frozen=True)
class Headings:
    """The names of the columns that all files have, and why others are left out."""

    names: tuple[str, ...]  # those that every file has, once
    left_out: Mapping[str, str]  # the others, each with the reason


def files_of(path: Path) -> tuple[Path, ...]:
    """The CSV files of a folder or of its train/, validation/ and test/; or the one file itself.

    Raises DataError.
    """
    if not path.is_dir():
        return (path,)
    folders = list(part_folders(path).values()) or [path]
    tables = [table for folder in folders for table in tables_in(folder)]
    if not tables:
        left = describe_left_out(path)
        raise DataError(
            f"{path} holds no CSV file{f' ({left})' if left else ''}; put one in it for each site, named "
            "after the site."
        )
    for folder in folders:
        copies(files_by_client(folder))
    return tuple(tables)


def headings_of(paths: Sequence[Path], dialect: Dialect) -> Headings:
    """What the files name their columns. Raises DataError where there is no table that all share."""
    headers = {path: Counter(read_header(path, dialect)) for path in paths}
    for path, header in headers.items():
        _check_is_header(path, list(header))
    everywhere = Counter(name for header in headers.values() for name in header)
    usual = [name for name, count in everywhere.items() if 2 * count > len(paths)]
    whose = "most files have"
    if not usual:  # each site's are called otherwise: compared with the first
        usual, whose = list(headers[paths[0]]), f"{printable(paths[0].name, 60)} has"
    for path, header in headers.items():
        _check_is_alike(path, list(header), usual, whose)
    reasons = {name: _why_not(name, headers) for name in everywhere}
    names = tuple(name for name, reason in reasons.items() if not reason)
    if not names:
        raise DataError(
            f"{paths[0]} names its columns twice, or not at all; give each its own name in the first line."
        )
    return Headings(names, {name: reason for name, reason in reasons.items() if reason})


def _check_is_alike(path: Path, header: Sequence[str], usual: Sequence[str], whose: str) -> None:
    """Raise DataError where a file has few of the columns that the others have."""
    shared = sum(name in header for name in usual)
    if 2 * shared >= len(usual):
        return
    folded = {fold(name): name for name in usual}
    others = [name for name in header if fold(name) in folded and name not in usual]
    cure = "if it is a site's, name its columns as the others do; else put it elsewhere"
    if others:
        alike = [f"{name!r} to {folded[fold(name)]!r}" for name in others]
        cure = f"rename {printable(join_names(alike), 300)} in it"
    raise DataError(
        f"{path} has {shared} of the {len(usual)} columns that {whose} ({list_names(usual)}); {cure}."
    )


def _why_not(name: str, headers: Mapping[Path, Counter[str]]) -> str:
    """Why a column cannot be used; "" where it can."""
    if not name:
        return "a column without a name; left out"
    if any(header[name] > 1 for header in headers.values()):
        return "stands twice in the first line; left out"
    without = [path for path, header in headers.items() if not header[name]]
    if not without:
        return ""
    for path in without:
        for other in headers[path]:
            if fold(other) == fold(name):
                return (
                    f"{printable(path.name, 60)} calls it {printable(other, 60)!r}, if it is the same; left "
                    "out until it has one name"
                )
    more = f" and {len(without) - 1} more" if len(without) > 1 else ""
    return f"not in {printable(without[0].name, 60)}{more}, and a column must be in each file; left out"


def _check_is_header(path: Path, names: Sequence[str]) -> None:
    """Raise DataError where the first line is a row: names are no numbers, but for 0, 1, 2 …"""
    numbers = [exact(name.replace(",", ".")) for name in names]
    known = [number for number in numbers if number is not None]
    is_count = known == sorted(known) and all(number == int(number) for number in known)
    if 2 * len(known) > len(names) and not (is_count and len(set(known)) == len(known)):
        raise DataError(
            f"{path}, line 1 seems to be a row and not the columns' names; put a line of names above it."
        )


def nearest(name: str, names: Sequence[str]) -> str:
    """A sentence that proposes the name that may be meant; the first names where none is alike."""
    folded = {one.casefold(): one for one in reversed(names)}
    alike = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return (
        f"is {printable(folded[alike[0]], 40)!r} meant?"
        if alike
        else f"it has {list_names(names)}."
    )
