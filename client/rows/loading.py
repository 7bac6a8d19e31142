"""A task's `load`, called as its author's code: whatever is wrong with it is one sentence."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Table
from calyx.errors import CalyxError, DataError
from calyx.seeding import global_scope
from calyx.tasks.causes import cause_of, place_of
from calyx.tasks.task import Task


def load(task: Task, client: str, data_dir: Path | None, seed: int) -> Table:
    """The task's rows of this client; what it draws from global generators is seeded.

    Raises DataError, too where `load` itself fails or returns something else than a table.
    """
    with global_scope(seed, "load", client=client):
        before = "torch" in sys.modules
        try:
            table: object = task.load(client, data_dir, seed)
        except CalyxError:
            raise
        except MemoryError as error:
            raise DataError(too_large(client, str(error))) from error
        except (Exception, SystemExit) as error:  # a script's line that ends its process, too
            raise DataError(
                f"{client}: `load` of task={task.name} fails: {cause_of(error, task)}. Mend it."
            ) from error
    # A scope seeds what is imported: loading is what has imported PyTorch here, so do it again.
    if not before and "torch" in sys.modules:
        return load(task, client, data_dir, seed)
    return _check_table(table, task, client)


def too_large(client: str, what: str) -> str:
    """That memory does not hold a client's rows; `what` says of which size, as far as it is known."""
    return (
        f"{client}'s rows do not fit into memory{what and f' ({what})'}. Give it fewer rows or columns, or "
        "this machine fewer workers or more memory."
    )


def _check_table(table: object, task: Task, client: str) -> Table:
    """The table, if it is one. Raises DataError that says what it is instead."""
    if not isinstance(table, Table):
        raise _wrong(task, client, f"returns {_describe(table)}, and not a calyx.data.schema.Table")
    columns = len(task.schema.columns)
    label = "float64" if task.schema.target else "int64"
    if not _is_array(table.x, "float64", 2) or table.x.shape[1] != columns:
        wanted = f"float64 [rows, {columns}], one of each of the schema's columns"
        raise _wrong(task, client, f"gives x as {_describe(table.x)}, and not {wanted}")
    if not _is_array(table.y, label, 1) or len(table.y) != len(table.x):
        wanted = f"{label} [{len(table.x)}], one a row"
        raise _wrong(task, client, f"gives y as {_describe(table.y)}, and not {wanted}")
    classes = task.schema.classes
    outside = table.y[(table.y < 0) | (table.y >= len(classes))] if classes else table.y[:0]
    if len(outside):
        wanted = f"none of 0 … {len(classes) - 1}, which stand for the schema's classes"
        raise _wrong(task, client, f"gives the label {outside[0]}, {wanted}")
    return table


def _wrong(task: Task, client: str, what: str) -> DataError:
    where = place_of(task, "load")
    return DataError(f"{client}: `load` of task={task.name} {what}{where and f' ({where})'}.")


def _is_array(value: object, dtype: str, dimensions: int) -> bool:
    return isinstance(value, np.ndarray) and (value.dtype, value.ndim) == (dtype, dimensions)


def _describe(value: object) -> str:
    """`int64 [80, 3]` of an array, else the name of its type."""
    if isinstance(value, np.ndarray):
        array: NDArray[Any] = value
        return f"{array.dtype} {list(array.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
