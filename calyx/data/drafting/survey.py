"""All rows of all files, looked at once; what a draft is written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calyx.data.csv.rows import Dialect
from calyx.data.drafting.columns import Column, Piece, look
from calyx.data.drafting.dialects import with_marks, writing_of
from calyx.data.drafting.sources import files_of, headings_of, nearest
from calyx.data.tables import read_chunks
from calyx.errors import DataError, printable

MOST_ROWS = 20_000
MOST_CELLS = 1_000_000
LONGEST = 200  # signs that are kept of a cell


class Sample:
    """Every first, second, fourth … row, by column: which ones depends on the rows' number alone."""

    def __init__(self, names: Sequence[str]) -> None:
        self.cells: dict[str, list[str | None]] = {name: [] for name in names}
        self.files: list[int] = []  # of each row
        self.step, self._rows = 1, 0  # rows from one of the sample to the next
        self._most = max(100, min(MOST_ROWS, MOST_CELLS // max(len(names), 1)))

    def __len__(self) -> int:
        """How many rows the sample holds."""
        return len(self.files)

    def add(self, cells: Mapping[str, Sequence[str | None]], file: int) -> None:
        """Take what is due of some rows of a file."""
        count = len(next(iter(cells.values())))
        begin = -self._rows % self.step
        self._rows += count
        for name, kept in self.cells.items():
            kept.extend(cell and cell[:LONGEST] for cell in cells[name][begin :: self.step])
        self.files.extend([file] * len(range(begin, count, self.step)))
        while len(self) > self._most:
            self.step *= 2
            self.cells = {name: kept[::2] for name, kept in self.cells.items()}
            self.files = self.files[::2]


MISSING_WORDS = (
    *("", "NA", "NaN", "nan", "N/A", "n/a", "#N/A", "<NA>", "?", "-", "."),
    *("null", "NULL", "#NULL!", "None"),
    # What Excel writes where it cannot reckon, in English and German.
    *("#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NV", "#WERT!", "#BEZUG!", "#ZAHL!"),
)


@dataclass(frozen=True)
class Survey:
    """What was seen of the files."""

    path: Path  # the folder or the file that was named
    files: tuple[Path, ...]
    rows: tuple[int, ...]  # of each file
    dialect: Dialect
    columns: Mapping[str, Column]
    left_out: Mapping[str, str]  # columns that could not be looked at, with the reason
    doubtful: tuple[str, ...]  # columns whose decimals may be thousands
    sample: Sample

    @property
    def is_folder(self) -> bool:
        """Whether a folder was named on the command line, and not one file."""
        return self.path not in self.files


def survey(path: Path) -> Survey:
    """Look at a folder's files, or at one; their text is never held whole. Raises DataError."""
    files = files_of(path)
    dialect = writing_of(files, MISSING_WORDS)
    headings = headings_of(files, dialect)
    writing = with_marks(files, headings.names, dialect)
    columns = {name: Column() for name in headings.names}
    sample, rows = Sample(headings.names), [0] * len(files)
    for i, file in enumerate(files):
        for chunk in read_chunks(file, headings.names, writing.dialect):
            rows[i] += len(chunk.lines)
            sample.add(chunk.cells, i)
            for name, column in columns.items():
                piece = Piece(chunk.cells[name], chunk.lines, file, i)
                look(column, piece, writing.dialect)
    for file, count in zip(files, rows, strict=True):
        if not count:
            raise DataError(
                f"{file} has no rows below its first line; bring its rows, or take the file out."
            )
    return Survey(
        path,
        files,
        tuple(rows),
        writing.dialect,
        columns,
        headings.left_out,
        writing.doubtful,
        sample,
    )


def check_column(survey: Survey, name: str) -> None:
    """Raise DataError for a column that somebody named and that no file has."""
    if name not in survey.columns:
        raise DataError(
            f"{survey.files[0]} has no column {printable(name, 40)}; "
            f"{nearest(name, list(survey.columns))}"
        )
