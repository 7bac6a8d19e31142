"""Every table is read as Python's csv module and its schema have it, or refused with its line.

A table is a number; `CALYX_TABLES=100000` looks at so many.
"""

import csv
import io
import os
import unicodedata

import numpy as np
import pytest
from support.wild_tables import UNLABELLED, make

from calyx.config.section import parse
from calyx.data.csv.schema import SchemaConfig
from calyx.data.tables import read_chunks
from calyx.errors import DataError
from calyx.tasks.csv import Csv, dialect_of

TABLES = int(os.environ.get("CALYX_TABLES", "2000"))
PIECES = 20


def cells_of(table):
    """The file's cells by Python's csv module alone: those of the columns that are read."""
    text = table.content.decode(table.encoding).removeprefix("\ufeff")
    lines = list(io.StringIO(text, newline=""))[table.above :]
    rows = csv.reader(lines, delimiter=table.delimiter, skipinitialspace=True)
    first, *rows = [[cell.strip() for cell in row] for row in rows if row not in ([], [""])]
    header = [unicodedata.normalize("NFC", name) for name in first]
    return {
        column.name: [row[header.index(column.name)] for row in rows]
        for column in table.columns
        if column.role != "unread"
    }


def check(path, table):
    """What differs from what the table means, or None."""
    path.write_bytes(table.content)
    task = Csv({"name": "csv", "schema": table.schema, "clients": [], "hidden": 0, "w_max": None})
    try:
        found = task.tables(path)
    except DataError as error:
        said = str(error)
        sound = said.isprintable() and said.startswith(str(path)) and said.endswith(".")
        if not table.fault or not sound or not all(words in said for words in table.fault):
            return f"{table.fault} is told as {said!r}"
        return None
    if table.fault:
        return f"read in spite of {table.fault}"
    wanted = cells_of(table)
    dialect = dialect_of(parse(SchemaConfig, table.schema, "schema"))
    (chunk,) = read_chunks(path, list(wanted), dialect)
    read = {n: [c or "" if c is not None else None for c in cs] for n, cs in chunk.cells.items()}
    missing = {n: [None if c in dialect.missing else c for c in cs] for n, cs in wanted.items()}
    if read != missing or chunk.lines.tolist() != table.lines:
        return f"cells {read} and lines {chunk.lines}, not {missing} and {table.lines}"
    rows = task.read_inputs(path)  # as predictions are made
    if rows.lines.tolist() != table.lines or len(rows.x) != len(table.lines):
        return f"{len(rows.x)} rows in lines {rows.lines}, not in {table.lines}"
    return differs(found, table)


def differs(found, table):
    """Whether x and y of each client are what was meant when the cells were drawn."""
    by_name = {column.name: column for column in table.columns if column.role != "unread"}
    x = np.array([by_name[name].meant for name in table.schema["columns"]], dtype=float).T
    y = by_name[table.schema["target"]["name"]].meant
    client = table.schema["client"]
    whose = by_name[client].meant if client else [None] * len(y)
    if set(found) != (set(whose) if client else {None}):
        return f"clients {set(found)}"
    for name, read in found.items():
        own = [i for i, who in enumerate(whose) if who == name]
        rows = [i for i in own if y[i] is not UNLABELLED]
        labels = [float(y[i]) for i in rows]
        if not np.array_equal(read.x, x[rows], equal_nan=True) or read.y.tolist() != labels:
            return f"of {name}: {read.x} {read.y}, not {x[rows]} {labels}"
        if read.unlabelled != len(own) - len(rows):
            return f"of {name}: {read.unlabelled} rows without a label"
    return None


@pytest.mark.parametrize("piece", range(PIECES))
def test_every_table_is_read_as_it_is_written_or_refused_with_its_line(tmp_path, piece):
    wrong, sound, told = [], 0, 0
    for number in range(piece, TABLES, PIECES):
        table = make(number)
        complaint = check(tmp_path / "x.csv", table)
        sound, told = sound + (not table.fault), told + bool(table.fault)
        wrong += [f"table {number}: {complaint}\n{table.content}\n{table.schema}"] * bool(complaint)
    assert not wrong, "\n".join(wrong[:3])
    assert sound > TABLES / PIECES / 10
    assert told > TABLES / PIECES / 10
