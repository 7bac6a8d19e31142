"""New rows to predict, as their file holds them: inputs, lines, and a column that says which is which."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.data.csv.rows import Dialect
from calyx.data.schema import Column, Schema
from calyx.data.tables import Field, all_rows, read_chunks
from calyx.errors import UserError, printable
from calyx.tasks.task import ReadsInputs, Task
from calyx.words.digits import plain
from calyx.words.sentences import join_names

SHOWN = 3  # lines in one sentence


@dataclass(frozen=True)
class NewRows:
    """Rows [N] of one file in its order; `ids` are cells of the column that goes along, or None."""

    path: Path
    x: NDArray[np.float64]  # [N, C]
    lines: NDArray[np.int64]  # [N] where each row begins, as an editor counts
    ids: tuple[str, ...] | None


@dataclass(frozen=True)
class Fault:
    """A column of which some rows hold what its schema does not allow."""

    column: Column
    what: str  # a clause
    rows: NDArray[np.int64]  # indices
    is_refused: bool  # as the schema wants it


def read_new_rows(task: Task, path: Path, ids: str | None) -> NewRows:
    """The task's input columns of a CSV file, and the column `ids`. Raises DataError."""
    if isinstance(task, ReadsInputs):
        rows, dialect = task.read_inputs(path), task.dialect
    else:
        dialect = Dialect()
        rows = all_rows(path, [Field(column.name) for column in task.schema.columns], dialect)
    if ids is None:
        return NewRows(path, rows.x, rows.lines, None)
    # Whatever counts as missing in an input is a name like any other here.
    chunks = read_chunks(path, [ids], replace(dialect, missing=()))
    cells = tuple(str(cell) for chunk in chunks for cell in chunk.cells[ids])
    if len(cells) != len(rows.x):
        raise UserError(f"{path} changed while it was read; try again.")
    return NewRows(path, rows.x, rows.lines, cells)


def find_faults(schema: Schema, rows: NewRows) -> list[Fault]:
    """What is impossible by the schema, column by column."""
    pairs = zip(schema.columns, rows.x.T, strict=True)
    return [fault for column, values in pairs for fault in _find_faults(column, values)]


def _find_faults(column: Column, values: NDArray[np.float64]) -> Iterator[Fault]:
    if column.kind in ("image", "text"):
        return
    is_missing = np.isnan(values) | np.isin(values, column.missing_codes)
    if column.categories:
        wrong = ~is_missing & ~np.isin(values, column.categories)
        what = "is none of the categories that are declared"
    else:
        low = -np.inf if column.low is None else column.low
        high = np.inf if column.high is None else column.high
        wrong = ~is_missing & ((values < low) | (values > high))
        what = f"lies outside {plain(low)} … {plain(high)}"
    if wrong.any():
        is_refused = bool(column.categories) and column.unknown == "refuse"
        yield Fault(column, what, np.flatnonzero(wrong), is_refused)
    if is_missing.any() and not column.may_be_missing:
        what = "is missing, and may not be"
        yield Fault(column, what, np.flatnonzero(is_missing), is_refused=False)


def describe_faults(faults: list[Fault], rows: NewRows) -> str:
    """A sentence about rows that are impossible, "" where there are none.

    Raises UserError where the schema says that such rows are refused.
    """
    refused = [fault for fault in faults if fault.is_refused]
    if refused:
        raise UserError(
            f"{rows.path}: {_clauses(refused, rows)}, and the schema says `unknown: refuse`; mend these "
            "rows, or take them out."
        )
    if not faults:
        return ""
    count = len(np.unique(np.concatenate([fault.rows for fault in faults])))
    of = "1 row" if len(rows.x) == 1 else f"{len(rows.x)} rows"
    return (
        f"{count} of {of} {'holds' if count == 1 else 'hold'} what the schema does not allow, and "
        f"{'is' if count == 1 else 'are'} predicted all the same: {_clauses(faults, rows)}."
    )


def _clauses(faults: list[Fault], rows: NewRows) -> str:
    return "; ".join(
        f"{printable(fault.column.name, 40)} {fault.what} ({_lines(rows.lines[fault.rows])})"
        for fault in faults
    )


def _lines(lines: NDArray[np.int64]) -> str:
    """The first few: "line 4", "lines 4, 9, 12 and 3 more"."""
    return f"line{'s' if len(lines) > 1 else ''} {join_names([*map(str, lines)], SHOWN)}"
