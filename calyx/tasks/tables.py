"""Rows from a CSV file, by a schema: numbers, categories as codes, NaN for what is missing.

pandas reads; what is wrong is said with file, line and column, and never with a whole row.
"""

import csv
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calyx.errors import DataError, printable

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]
WHOLE = re.compile(r"[+-]?[0-9]+")  # a number as it is written
UNKNOWN = -1.0  # the code of a category that the schema does not name
SHOWN = 8  # names in one sentence
CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ("", "NA", "NaN", "?")  # cells that hold no value


@dataclass(frozen=True)
class Field:
    """A column of a file: its name, and its categories as they are written; none for numbers."""

    name: str
    categories: tuple[str, ...] = ()


def read_frame(path: Path, names: Sequence[str], dialect: Dialect) -> "pd.DataFrame":
    """These columns of a file, every cell a text or missing. Raises DataError."""
    import pandas as pd

    return pd.concat(list(read_chunks(path, names, dialect)))


def read_header(path: Path, dialect: Dialect) -> list[str]:
    """The names in a file's first line, as they are written. Raises DataError."""
    first = next(_read(path, dialect, nrows=1, header=None, dtype=str, chunksize=None))
    return [str(name).strip() for name in first.iloc[0]]


def read_chunks(path: Path, names: Sequence[str], dialect: Dialect) -> "Iterator[pd.DataFrame]":
    """The same in pieces of CHUNK_ROWS rows, one at least: a large file's text is never held whole.

    A row's index is its place in the file. Raises DataError, also in the middle.
    """
    import pandas as pd

    found = read_header(path, dialect)
    absent = [name for name in names if name not in found]
    if absent:
        has = printable(", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else ""))
        raise DataError(f"{path} has no column {absent[0]}; its first line names {has}.")
    twice = [name for name in names if found.count(name) > 1]
    if twice:
        raise DataError(
            f"{path} names the column {twice[0]!r} twice in its first line; rename or remove one."
        )
    for frame in _read(path, dialect, dtype=str, chunksize=CHUNK_ROWS):
        frame.columns = pd.Index(found)
        yield frame[list(dict.fromkeys(names))]


def _read(path: Path, dialect: Dialect, **how: Any) -> "Iterator[pd.DataFrame]":  # noqa: ANN401 - pandas' own
    import pandas as pd

    encoding = "utf-8-sig" if dialect.encoding.lower() in ("utf-8", "utf8") else dialect.encoding
    try:
        found = pd.read_csv(
            path,
            sep=dialect.delimiter,
            encoding=encoding,
            keep_default_na=False,
            na_values=list(dialect.missing),
            skipinitialspace=True,
            index_col=False,
            **how,
        )
        yield from _told_of_extra_cells(
            path, dialect, [found] if how["chunksize"] is None else found
        )
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not {dialect.encoding} (byte {error.object[error.start]:#04x}); save it so, or "
            "name its encoding in the schema."
        ) from None
    except LookupError:
        raise DataError(f"There is no encoding {dialect.encoding}; see the schema.") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty; its first line must name the columns.") from None
    except pd.errors.ParserError as error:
        _refuse_extra_cells(path, dialect)
        raise DataError(f"{path} is no CSV file: {printable(str(error))}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None


def _told_of_extra_cells(
    path: Path, dialect: Dialect, frames: "Iterable[pd.DataFrame]"
) -> "Iterator[pd.DataFrame]":
    """The same frames. Raises DataError for a line that has more cells than the first, not empty ones.

    pandas would drop the last ones, and says so in a warning that names no line.
    """
    import pandas as pd

    pieces, is_told = iter(frames), False
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            frame = next(pieces, None)
        if frame is None:
            return
        if not is_told and any(issubclass(w.category, pd.errors.ParserWarning) for w in caught):
            _refuse_extra_cells(path, dialect)
            is_told = True
        yield frame


def _refuse_extra_cells(path: Path, dialect: Dialect) -> None:
    with path.open(encoding=dialect.encoding, newline="") as file:
        lines = csv.reader(file, delimiter=dialect.delimiter, skipinitialspace=True)
        try:
            width = len(next(lines, []))
            longer = next((c for c in lines if any(cell.strip() for cell in c[width:])), None)
        except csv.Error:
            return
        if longer is not None:
            raise DataError(
                f"{path}, line {lines.line_num}: {len(longer)} cells, and the first line names "
                f"{width} columns; quote a text that holds a {dialect.delimiter!r}, or see decimal in "
                "the schema."
            )


def numbers(path: Path, values: "pd.Series[Any]", dialect: Dialect) -> NDArray[np.float64]:
    """A column [N] as numbers, NaN for missing. Raises DataError naming the first other cell."""
    import pandas as pd

    text = values.str.replace(dialect.decimal, ".") if dialect.decimal != "." else values
    found = pd.to_numeric(text, errors="coerce")
    wrong = np.flatnonzero((found.isna() & values.notna()).to_numpy())
    if len(wrong):
        cell = printable(str(values.iloc[wrong[0]]), 40)
        raise DataError(
            f"{path}, line {int(values.index[wrong[0]]) + 2}, column {values.name}: {cell!r} is no "
            "number; mend it, or list it under `missing` in the schema."
        )
    array: NDArray[np.float64] = found.to_numpy(dtype=np.float64)
    if np.isinf(array).any():
        raise DataError(f"{path}: there is an infinite value in the column {values.name}.")
    return array


def codes(values: "pd.Series[Any]", categories: Sequence[str]) -> NDArray[np.float64]:
    """A column [N] as places in `categories`; NaN for missing, UNKNOWN for another word.

    A number counts as its category however it is written: 1, 1.0 and 01 are one.
    """
    places = {plain(category): float(i) for i, category in enumerate(categories)}
    words = values.dropna().unique()
    known = {word: places.get(plain(word), UNKNOWN) for word in words}
    mapped: Values = values.map(known).to_numpy(dtype=np.float64, na_value=np.nan)
    return mapped


def plain(word: str) -> str:
    """A word as rows are compared with it: without blanks, and a number in one way of writing.

    A whole number keeps all its digits: two long ones may be one float, and are not one category.
    """
    word = str(word).strip()
    try:
        number = float(word)
        whole = int(word) if WHOLE.fullmatch(word) else None
    except ValueError:
        return word
    return repr(number) if whole is None or whole == number else str(whole)


def inputs(
    path: Path, frame: "pd.DataFrame", fields: Sequence[Field], dialect: Dialect
) -> NDArray[np.float64]:
    """The columns of `fields` as [N, C]. Raises DataError."""
    parts = [
        codes(frame[f.name], f.categories)
        if f.categories
        else numbers(path, frame[f.name], dialect)
        for f in fields
    ]
    return np.stack(parts, axis=1)
