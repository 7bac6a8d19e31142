"""A table as its owners have it: rows, whose each is, and how the files are written."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.tables.sources import Row


@dataclass(frozen=True)
class Writing:
    """How the files of a table are written."""

    delimiter: str = ","
    encoding: str = "utf-8"
    line_end: str = "\n"


EXCEL = Writing(encoding="utf-8-sig", line_end="\r\n")
GERMAN = Writing(delimiter=";", encoding="utf-8-sig", line_end="\r\n")


@dataclass(frozen=True)
class Table:
    """One table. `rows` are as in the files, `sites` whose each of them is."""

    name: str
    target: str  # the column that a person would predict
    kind: Literal["classes", "number"]
    rows: list[Row]
    sites: list[str]
    column: str | None = None  # all rows are in one file, and this column says whose each is
    writing: Writing = field(default_factory=Writing)
    answers: tuple[str, ...] = ()  # columns that are known only when the target is
    dealt: str = ""  # how rows came to sites, in words
    marks: str = ""  # what is unprepared about the files, in words

    @property
    def metric(self) -> str:
        """What it is judged by."""
        return "accuracy" if self.kind == "classes" else "R²"

    def write(self, folder: Path) -> None:
        """The files into a new folder: one a site, or one with a column of sites."""
        folder.mkdir(parents=True)
        if self.column is not None:
            self._write(folder / f"{self.name}.csv", self.rows)
            return
        by_site: dict[str, list[Row]] = {}
        for row, site in zip(self.rows, self.sites, strict=True):
            by_site.setdefault(site, []).append(row)
        for site, rows in by_site.items():
            self._write(folder / f"{site}.csv", rows)

    def _write(self, path: Path, rows: list[Row]) -> None:
        how = self.writing
        with path.open("w", encoding=how.encoding, newline="") as file:
            lines = csv.writer(file, delimiter=how.delimiter, lineterminator=how.line_end)
            lines.writerow(rows[0])
            lines.writerows(row.values() for row in rows)


def changed(rows: list[Row], column: str, change: Callable[[str], str]) -> list[Row]:
    """The rows with another way of writing one column's cells; empty and NA stay."""
    return [
        row | {column: row[column] if row[column] in ("", "NA") else change(row[column])}
        for row in rows
    ]


def without(rows: list[Row], *columns: str) -> list[Row]:
    """The rows without these columns."""
    return [{name: cell for name, cell in row.items() if name not in columns} for row in rows]


def renamed(rows: list[Row], names: dict[str, str]) -> list[Row]:
    """The rows with other names of columns."""
    return [{names.get(name, name): cell for name, cell in row.items()} for row in rows]
