"""csv: a task without code. A folder with one CSV a client (or one with a client column), and a schema.

The schema is part of the config, so that it is the same on every client; the launcher reads it
from the file that `task.schema` names. Classification or regression, with a small MLP.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calyx.config import NonNegativeInt, PositiveInt, config, parse
from calyx.errors import ConfigError, DataError, printable
from calyx.tasks.base import Column, Schema, Table, Target, check_w_max
from calyx.tasks.csv_rows import Dialect
from calyx.tasks.csv_schema import ColumnConfig, SchemaConfig, read_schema
from calyx.tasks.tables import (
    UNKNOWN,
    Chunk,
    Field,
    Rows,
    all_rows,
    codes,
    inputs,
    numbers,
    read_chunks,
    read_header,
)

if TYPE_CHECKING:
    from torch import nn


@config
class CsvConfig:
    """The section `task`."""

    name: str
    schema: SchemaConfig
    clients: tuple[str, ...]  # in simulation; the launcher lists the folder
    hidden: NonNegativeInt  # units of the hidden layer; 0 is a linear model
    # Largest weight of a client, in training rows: a power of two; null: the least that none exceeds.
    w_max: PositiveInt | None

    def __post_init__(self) -> None:
        """Check the power of two."""
        check_w_max(self.w_max)


class Csv:
    """The user's own rows."""

    name = "csv"

    @staticmethod
    def completed(section: Mapping[str, Any]) -> dict[str, Any]:
        """The section as the launcher makes it: the schema in place of its file, the clients named.

        Raises DataError, ConfigError.
        """
        data_dir = Path(section["data_dir"]) if section.get("data_dir") else None
        if data_dir is not None and not data_dir.is_dir():
            raise DataError(
                f"task.data_dir={data_dir} is no folder; name the one with your CSV files."
            )
        schema = section.get("schema")
        if schema is None and data_dir is not None:
            schema = str(data_dir / "schema.yaml")
        if not isinstance(schema, dict):
            schema = read_schema(schema)
        clients = section.get("clients")
        if clients is None:
            cfg = parse(SchemaConfig, schema, "task.schema")
            clients = clients_in(data_dir, cfg) if data_dir else []
        return dict(section) | {"schema": schema, "clients": clients}

    def check_agreed(self, data_dir: Path | None) -> None:
        """That the schema is the one that lies beside a site's rows. Raises ConfigError.

        Whoever chooses how rows are read learns of them by what fails, and asks again for what was
        given.
        """
        if data_dir is None:
            raise ConfigError("task=csv reads a folder of yours: set client.data_dir.")
        path = data_dir / "schema.yaml"
        if not path.is_file():
            raise ConfigError(f"There is no {path}: put the schema that was agreed on there.")
        if parse(SchemaConfig, read_schema(str(path)), str(path)) != self._cfg.schema:
            raise ConfigError(
                f"The order's schema is not that of {path}; agree on one, and put it beside the rows."
            )

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._cfg = parse(CsvConfig, section, "task")
        self.w_max, self.clients = self._cfg.w_max, tuple(sorted(self._cfg.clients))
        target = self._cfg.schema.target
        number = None
        if target.center is not None and target.scale is not None:
            number = Target(target.name, target.center, target.scale, target.low, target.high)
        columns = tuple(_column(name, c) for name, c in self._cfg.schema.columns.items())
        self.schema = Schema(columns, tuple(map(str, target.classes)), number)

    @property
    def key(self) -> str:
        """What decides how a file is read."""
        return repr(self._cfg.schema)

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """The rows of `client`; `seed` plays no part. Raises DataError."""
        schema = self._cfg.schema
        if data_dir is None:
            raise DataError("task=csv reads a folder of yours: set task.data_dir.")
        if schema.client is None:
            return self._table(data_dir / f"{client}.csv", None)
        return self._table(only_file(data_dir), client)

    def read_inputs(self, path: Path) -> Rows:
        """The rows of a file without a target. Raises DataError."""
        return all_rows(path, self._fields, self._dialect)

    @property
    def dialect(self) -> Dialect:
        """How the files are written."""
        return self._dialect

    def model(self, num_inputs: int) -> "nn.Module":
        """An MLP with one hidden layer, or a linear model."""
        from torch import nn

        hidden, outputs = self._cfg.hidden, self.schema.num_outputs
        if hidden == 0:
            return nn.Linear(num_inputs, outputs)
        return nn.Sequential(nn.Linear(num_inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def _table(self, path: Path, client: str | None) -> Table:
        found = path.stat() if path.exists() else None
        state = found and (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        tables = _tables(_Reader(self), path, state)
        if client not in tables:
            column = self._cfg.schema.client
            raise DataError(f"{path} has no rows of {client} in its column {column}.")
        return tables[client]

    def tables(self, path: Path) -> dict[str | None, Table]:
        """A file's rows by client, or all under None; read in pieces. Raises DataError."""
        schema, found = self._cfg.schema, dict[str | None, list[Table]]()
        names = [*schema.columns, schema.target.name, *([schema.client] if schema.client else [])]
        for chunk in read_chunks(path, names, self._dialect):
            x, y = inputs(path, chunk, self._fields, self._dialect), self._labels(path, chunk)
            if schema.client is None:
                found.setdefault(None, []).append(Table(x, y))
                continue
            rows = dict[str, list[int]]()
            for row, client in enumerate(_whose(path, chunk, schema.client)):
                rows.setdefault(client, []).append(row)
            for client, places in rows.items():
                found.setdefault(client, []).append(Table(x[places], y[places]))
        header = read_header(path, self._dialect)
        unread = tuple(printable(name, 40) for name in header if name not in names)
        return {
            client: Table(
                np.concatenate([t.x for t in parts]),
                np.concatenate([t.y for t in parts]),
                unread=unread,
            )
            for client, parts in found.items()
        }

    def _labels(self, path: Path, chunk: Chunk) -> np.ndarray[Any, Any]:
        target = self._cfg.schema.target
        words, classes = chunk.cells[target.name], self.schema.classes
        y = codes(words, classes) if classes else numbers(path, chunk, target.name, self._dialect)
        wrong = np.flatnonzero(np.isnan(y) | ((y == UNKNOWN) & bool(target.classes)))
        if len(wrong):
            cell, line = words[wrong[0]], chunk.lines[wrong[0]]
            what = "is missing"
            if cell is not None:
                what = f"is {printable(cell, 40)!r}, none of its classes"
            raise DataError(f"{path}, line {line}: the target {printable(target.name, 40)} {what}.")
        return y.astype(np.int64) if target.classes else y

    @property
    def _dialect(self) -> Dialect:
        return dialect_of(self._cfg.schema)

    @property
    def _fields(self) -> list[Field]:
        columns = self._cfg.schema.columns
        return [Field(name, tuple(map(str, c.categories))) for name, c in columns.items()]


def _column(name: str, cfg: ColumnConfig) -> Column:
    return Column(
        name=name,
        kind=cfg.kind,
        categories=tuple(float(i) for i in range(len(cfg.categories))),
        missing_codes=cfg.missing,
        may_be_missing=cfg.may_be_missing,
        low=cfg.low,
        high=cfg.high,
        unit=cfg.unit,
        unknown=cfg.unknown,
        words=tuple(map(str, cfg.categories)),
    )


class _Reader:
    """A task as the key of a cache: equal sections read alike."""

    def __init__(self, task: Csv) -> None:
        self.task, self._key = task, task.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reader) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=2)  # a simulation's clients may share one file
def _tables(reader: _Reader, path: Path, state: object) -> dict[str | None, Table]:
    return reader.task.tables(path)


def dialect_of(schema: SchemaConfig) -> Dialect:
    """How the files are written, as the schema says."""
    return Dialect(
        schema.delimiter,
        schema.decimal,
        schema.encoding,
        schema.missing,
        schema.thousands,
        schema.line_breaks,
    )


def _whose(path: Path, chunk: Chunk, column: str) -> list[str]:
    """Whose each row is. Raises DataError where that is empty, or a word for missing."""
    whose = list[str]()
    for client, line in zip(chunk.cells[column], chunk.lines, strict=True):
        if not client:
            raise DataError(
                f"{path}, line {line}: the client column {printable(column, 40)} is empty, or holds a "
                "word that the schema lists under `missing`; say whose the row is, or take it out."
            )
        whose.append(client)
    return whose


def only_file(folder: Path) -> Path:
    """The one CSV file of a folder. Raises DataError."""
    found = sorted(folder.glob("*.csv"))
    if len(found) != 1:
        raise DataError(
            f"{folder} holds {len(found)} CSV files; with a client column there must be one, and "
            "without one each client has its own."
        )
    return found[0]


def clients_in(folder: Path, schema: SchemaConfig) -> list[str]:
    """The clients whose rows a folder holds, sorted. Raises DataError where there are fewer than two."""
    if schema.client is None:
        names = sorted(path.stem for path in folder.glob("*.csv"))
        where = f"{folder} holds {len(names)} CSV files"
    else:
        path = only_file(folder)
        found: set[str] = set()
        for chunk in read_chunks(path, [schema.client], dialect_of(schema)):
            found.update(_whose(path, chunk, schema.client))
        names = sorted(found)
        where = f"{path} names {len(names)} clients in its column {schema.client}"
    if len(names) < 2:
        raise DataError(f"{where}, and a federation has two clients at least.")
    return names
