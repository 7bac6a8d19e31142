"""A folder of CSV files: which of them are read, whose rows they hold, and what is left out.

Names are compared in one form, so that a folder means the same on every disk. No file's rows are
read here but for the column that names clients, and copies. See docs/decisions/0039.
"""

import hashlib
import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from calyx.data.csv.rows import Dialect
from calyx.data.tables import Chunk, read_chunks
from calyx.data.words import one_form
from calyx.errors import ConfigError, DataError, printable
from calyx.files.plain import plain
from calyx.words.sentences import join_names

SHOWN = 8  # names in one sentence
LONGEST = 200  # characters of a client's name, as in a roster
TABLES = {
    *(".csv", ".tsv", ".tab", ".txt", ".dat", ".xls", ".xlsx", ".ods", ".parquet", ".feather"),
    *(".sav", ".dta", ".sas7bdat", ".gz", ".zip", ".bz2", ".xz", ".zst", ".7z"),
}
SCHEMAS = ("schema.yaml", "schema.yml", "schema.yaml.txt", "schema.yml.txt")
PAGES = ("readme", "license", "licence", "notice", "changelog")
# What programs put around a name when they copy: "b (1)", "b - Copy", "Kopie von b".
COPY = re.compile(
    r"(.*?)(?: ?\(\d+\)|[ _-]+(?:copy|kopie|copie|copia|backup|bak|old)(?:[ _-]*\(?\d+\)?)?)"
    r"|(?:copy of|kopie von|copie de|copia de) (.*)",
    re.IGNORECASE,
)


def tables_in(folder: Path) -> list[Path]:
    """The folder's CSV files, sorted by name: those that end in .csv, .CSV …, and are not hidden."""
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if _is_table(entry))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.") from None


def _is_table(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    return name.lower().endswith(".csv") and not name.startswith(".") and entry.is_file()


def schema_in(folder: Path) -> Path:
    """The schema that lies beside a folder's rows. Raises ConfigError that says what it is called."""
    path = folder / "schema.yaml"
    if path.is_file():
        return path
    beside = sorted(os.listdir(folder)) if folder.is_dir() else []
    alike = [name for name in beside if name.lower() in SCHEMAS]
    advice = f"rename {printable(alike[0], 60)}" if alike else "put the schema there"
    if not alike and folder.is_dir() and tables_in(folder):
        rows, schema = shlex.quote(str(folder)), shlex.quote(str(path))
        advice += f", or have one drafted (calyx audit --draft-schema {rows} --out {schema})"
    raise ConfigError(f"There is no {path}: {advice}; docs/bring-your-own.md shows one.")


def files_by_client(folder: Path) -> dict[str, Path]:
    """Each client's file, in a folder without a client column.

    Raises DataError for two files that would be one client, here or on another disk.
    """
    files: dict[str, Path] = {}
    seen: dict[str, Path] = {}
    for path in tables_in(folder):
        name = one_form(path.stem)
        first = seen.setdefault(name.casefold(), path)
        if first is not path:
            raise DataError(
                f"{folder}: {list_names([first.name, path.name])} are of one client, or would be on another "
                "disk; rename or remove one."
            )
        files[_check_name(name, f"the file {path}")] = path
    return files


def only_file(folder: Path) -> Path:
    """The one CSV file of a folder. Raises DataError."""
    tables = tables_in(folder)
    if len(tables) != 1:
        names = f": {list_names([path.name for path in tables])}" if tables else ""
        raise DataError(
            f"{folder} holds {len(tables)} CSV files{names}; with a client column there must be one, and "
            "without one each client has its own."
        )
    return tables[0]


def clients_in(folders: Sequence[Path], column: str | None, dialect: Dialect) -> list[str]:
    """The clients whose rows folders hold, sorted. Raises DataError where there are fewer than two."""
    per_folder = [_names_in(folder, column, dialect) for folder in folders]
    names = sorted(set().union(*(names for names, _ in per_folder)))
    if len(names) < 2:
        left = describe_left_out(folders[0])
        beside = f" ({left})" if left else ""
        raise DataError(f"{per_folder[0][1]}{beside}, and a federation has two clients at least.")
    return names


def _names_in(folder: Path, column: str | None, dialect: Dialect) -> tuple[list[str], str]:
    """The clients whose rows lie in this very folder, and a sentence of how many. Raises DataError."""
    if column is None:
        names = sorted(files_by_client(folder))
        return names, f"{folder} holds {len(names)} CSV files"
    path, seen = only_file(folder), set[str]()
    for chunk in read_chunks(path, [column], dialect):
        seen.update(map(str, rows_by_client(path, chunk, column)))
    return sorted(seen), f"{path} names {len(seen)} clients in its column {printable(column, 40)}"


def rows_by_client(path: Path, chunk: Chunk, column: str | None) -> dict[str | None, list[int]]:
    """The places in a chunk of each client's rows, by the client column; without one all are under None.

    Raises DataError where the column is empty, or holds a word for missing.
    """
    if column is None:
        return {None: list(range(len(chunk.lines)))}
    names = dict[str, str]()
    rows = dict[str | None, list[int]]()
    for row, (client, line) in enumerate(zip(chunk.cells[column], chunk.lines, strict=True)):
        where = f"{path}, line {line}"
        if not client:
            raise DataError(
                f"{where}: the client column {printable(column, 40)} is empty, or holds a "
                "word that the schema lists under `missing`; say whose the row is, or take it out."
            )
        if client not in names:
            names[client] = _check_name(one_form(client), where)
        rows.setdefault(names[client], []).append(row)
    return rows


def check_name(name: str) -> str:
    """A client's name, if it can be one. Raises ValueError."""
    if not 0 < len(name) <= LONGEST or not name.isprintable():
        raise ValueError(
            f"{printable(name, 40)!r} is no client's name, which has 1 to {LONGEST} printable characters"
        )
    return name


def _check_name(name: str, where: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise DataError(f"{where}: {error}; rename it.") from None


def describe_left_out(folder: Path, inner: Collection[Path] = ()) -> str:
    """A sentence about what looks like a table in a folder and is not read; "" if nothing does.

    Without tables of its own a folder has them further down; of its folders `inner` ones are read.
    """
    tables = tables_in(folder)
    read = [*tables, *inner]
    others = [
        path.name + ("/" if path.is_dir() else "")
        for path in sorted(folder.iterdir())
        if path not in read and (_looks_like_one(path) or (not tables and _holds_tables(path)))
    ]
    if not others:
        return ""
    verb = "is" if len(others) == 1 else "are"
    where = (
        "" if tables else ", and lies in the folder itself, or in its train/, validation/ or test/"
    )
    return (
        f"{folder}: {list_names(others)} {verb} left out; a table that is read ends in .csv and is not "
        f"hidden{where}"
    )


def _holds_tables(path: Path) -> bool:
    try:
        return path.is_dir() and not path.name.startswith(".") and bool(tables_in(path))
    except DataError:
        return False


def _looks_like_one(path: Path) -> bool:
    name = path.name.lower()
    if path.is_dir():
        return ".csv" in name
    return ".csv" in name or (path.suffix.lower() in TABLES and path.stem.lower() not in PAGES)


def copies(files: Mapping[str, Path]) -> list[str]:
    """A sentence for each two clients whose files are one and the same, or copies by their names.

    Raises DataError for a file that has another one's name as a copy has it, and its bytes.
    """
    equal = _equal(list(files.values()))
    names = {name.casefold(): name for name in files}
    sentences = []
    for name, path in files.items():
        match = COPY.fullmatch(name)
        base = names.get((match[1] or match[2] or "").strip().casefold()) if match else None
        if base is None:
            continue
        if (files[base], path) in equal or (path, files[base]) in equal:
            raise DataError(
                f"{path.name} is {files[base].name} once more, to the byte: its rows would count twice. "
                f"Remove it from {path.parent}."
            )
        sentences.append(
            f"{path.name} is a client of its own beside {files[base].name}; if it is a copy, remove it."
        )
    sentences += [
        f"{one.name} and {other.name} hold the same rows, to the byte; if they are one client, remove "
        "one of them."
        for one, other in equal
    ]
    return sentences


def _equal(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pairs of files with the same bytes; only those of one size are read."""
    by_size: dict[int, list[Path]] = {}
    for path in paths:
        by_size.setdefault(path.stat().st_size, []).append(path)
    pairs = []
    for same in by_size.values():
        digests = {path: _digest(path) for path in same} if len(same) > 1 else {}
        pairs += [(a, b) for a, b in combinations(digests, 2) if digests[a] == digests[b]]
    return pairs


def _digest(path: Path) -> bytes:
    with open(path, "rb", opener=plain) as file:
        return hashlib.file_digest(file, "sha256").digest()


def list_names(names: Sequence[str]) -> str:
    """Names of files or clients, which somebody else may have written, in a sentence."""
    return join_names([printable(name, 60) for name in names], SHOWN)
