"""csv: a task without code. A folder with one CSV a client (or one with a client column), and a schema.

The schema is part of the config, so that it is the same on every client; the launcher reads it
from the file that `task.schema` names. Classification or regression, with a small MLP.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field
from typing_extensions import override

from calyx.config.section import config, parse
from calyx.data.csv.folder import (
    check_name,
    clients_in,
    copies,
    describe_left_out,
    files_by_client,
    list_names,
    only_file,
    rows_by_client,
    schema_in,
)
from calyx.data.csv.repeating import find_repeating
from calyx.data.csv.rows import Dialect
from calyx.data.csv.schema import (
    SchemaConfig,
    column_of,
    dialect_of,
    fields_of,
    read_config_schema,
    read_schema,
)
from calyx.data.csv.split import (
    SplitReader,
    check_folders,
    join_pieces,
    part_folders,
    parts_by_name,
)
from calyx.data.csv.words import find_labelled, labels, strange_words
from calyx.data.schema import Schema, Table, Target, join
from calyx.data.tables import Rows, all_rows, inputs, read_chunks, read_header
from calyx.data.words import one_form, show_word
from calyx.errors import ConfigError, DataError, printable
from calyx.vector.weighing import TaskSection

if TYPE_CHECKING:
    from torch import nn

LARGEST_HIDDEN = 2**14  # units; of a thousand inputs that are 64 MB of model


@config
class CsvConfig(TaskSection):
    """The section `task`."""

    schema: SchemaConfig
    clients: tuple[str, ...]  # in simulation; the launcher lists the folder
    hidden: Annotated[
        int, Field(ge=0, le=LARGEST_HIDDEN)
    ]  # units of the hidden layer; 0 is a linear model

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        names = [check_name(one_form(client)) for client in self.clients]
        if len(set(names)) < len(names):
            raise ValueError("clients names one twice; name each of them once")


class Csv:
    """A task on the user's own CSV files, by the schema of the config."""

    name = "csv"
    section = CsvConfig

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
            schema = str(schema_in(data_dir))
        schema = read_config_schema(schema) if isinstance(schema, dict) else read_schema(schema)
        clients = section.get("clients")
        if clients is None:
            cfg = parse(SchemaConfig, schema, "task.schema")
            clients = _clients(data_dir, cfg) if data_dir else []
        return dict(section) | {"schema": schema, "clients": clients}

    def check_agreed(self, data_dir: Path | None) -> None:
        """Raise ConfigError unless the schema is the one that lies beside a site's rows.

        A server that chose how rows are read would learn of them from what fails, and could ask again,
        of another reading, for what is told once only.
        """
        if data_dir is None:
            raise ConfigError("task=csv reads a folder of yours: set client.data_dir.")
        path = schema_in(data_dir)
        if parse(SchemaConfig, read_schema(str(path)), str(path)) != self._cfg.schema:
            raise ConfigError(
                f"The order's schema is not that of {path}; agree on one, and put it beside the rows."
            )

    def check_client(self, client: str, data_dir: Path | None) -> None:
        """Raise DataError where a folder of one file a client has none of this one; no row is read."""
        if data_dir is None or self._cfg.schema.client is not None:
            return
        folders = list(part_folders(data_dir).values()) or [data_dir]
        if all(one_form(client) not in files_by_client(folder) for folder in folders):
            raise _no_file(folders[0], client)

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._cfg = parse(CsvConfig, section, "task")
        self.model_section = {**section, "clients": [], "w_max": None}
        self.w_max = self._cfg.w_max
        self.clients = tuple(sorted(map(one_form, self._cfg.clients)))
        target = self._cfg.schema.target
        number = None
        if target.center is not None and target.scale is not None:
            number = Target(target.name, target.center, target.scale, target.low, target.high)
        columns = tuple(column_of(name, c) for name, c in self._cfg.schema.columns.items())
        self.schema = Schema(columns, tuple(map(show_word, target.classes)), number)

    @property
    def own_split(self) -> str | None:
        """The key of the schema that decides how rows are split, in words."""
        keys = self._cfg.schema.deciding.keys() - {"group"}
        return f"the schema's `{min(keys)}`" if keys else None

    @property
    def key(self) -> str:
        """What decides how a file is read."""
        return repr(self._cfg.schema)

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """The rows of `client`; `seed` plays no part. Raises DataError."""
        schema = self._cfg.schema
        if data_dir is None:
            raise DataError("task=csv reads a folder of yours: set task.data_dir.")
        folders = part_folders(data_dir)
        check_folders(folders, schema)
        if not folders:
            return self._table(data_dir, client)
        tables = [self._table(folders[0], client)]
        parts = [0] * len(tables[0])
        for part in (1, 2):
            if part in folders and (table := self._read_own(folders[part], client)) is not None:
                tables.append(table)
                parts += [part] * len(table)
        unread = tuple(dict.fromkeys(name for table in tables for name in table.unread))
        return replace(join(tables), unread=unread, parts=np.array(parts, dtype=np.int8))

    def warnings_of(self, data_dir: Path) -> list[str]:
        """What whoever starts a simulation should know of the folder. Raises DataError for copies."""
        sentences = parts_by_name(self.clients)
        folders = list(part_folders(data_dir).values())
        for folder in dict.fromkeys([data_dir, *folders]):
            left = describe_left_out(folder, folders)
            sentences += [f"{left}."] if left else []
        for folder in folders or [data_dir]:
            if self._cfg.schema.client is None:
                files = files_by_client(folder)
                sentences += copies({name: files[name] for name in self.clients if name in files})
        return sentences

    def read_inputs(self, path: Path) -> Rows:
        """The rows of a file without a target. Raises DataError."""
        return all_rows(path, fields_of(self._cfg.schema), self.dialect)

    @property
    def dialect(self) -> Dialect:
        """Encoding, delimiter, decimal sign and words for missing of the files."""
        return dialect_of(self._cfg.schema)

    def model(self, num_inputs: int) -> "nn.Module":
        """An MLP with one hidden layer, or a linear model."""
        from torch import nn

        hidden, outputs = self._cfg.hidden, self.schema.num_outputs
        if hidden == 0:
            return nn.Linear(num_inputs, outputs)
        return nn.Sequential(nn.Linear(num_inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def _table(self, folder: Path, client: str) -> Table:
        table, column = self._read_own(folder, client), self._cfg.schema.client
        if table is not None:
            return table
        if column is None:
            raise _no_file(folder, client)
        path = only_file(folder)
        has = list_names(sorted(map(str, _tables(_Reader(self), path, _state(path)))))
        raise DataError(
            f"{path} has no rows of {client} in its column {column}; it has those of {has}."
        )

    def _read_own(self, folder: Path, client: str) -> Table | None:
        """The client's rows in this very folder; None if it has none there. Raises DataError."""
        is_shared, client = self._cfg.schema.client is not None, one_form(client)
        path = only_file(folder) if is_shared else files_by_client(folder).get(client)
        if path is None:
            return None
        tables = _tables(_Reader(self), path, _state(path))
        return tables.get(client if is_shared else None)

    def tables(self, path: Path) -> dict[str | None, Table]:
        """A file's rows by client, or all under None; read in pieces. Raises DataError."""
        schema, pieces_by_client = self._cfg.schema, dict[str | None, list[Table]]()
        deciding = SplitReader(path, schema, self.dialect)
        beside = [name for name in (schema.client, deciding.column) if name is not None]
        names = [*schema.columns, schema.target.name, *beside]
        for piece in read_chunks(path, names, self.dialect):
            is_read = find_labelled(piece, schema.target)
            chunk = piece if is_read.all() else piece.take(np.flatnonzero(is_read))
            x = inputs(path, chunk, fields_of(schema), self.dialect)
            strange = strange_words(path, chunk, schema.columns, x)
            y = labels(path, chunk, schema.target, self.dialect)
            table, place = deciding.read(chunk, Table(x, y)), np.cumsum(is_read) - 1
            for client, of_client in rows_by_client(path, piece, schema.client).items():
                own = np.array(of_client, dtype=np.int64)
                rows = place[own[is_read[own]]]
                part = replace(table.take(rows), unlabelled=len(own) - len(rows))
                strange_here = strange.of(rows.tolist())
                pieces_by_client.setdefault(client, []).append(replace(part, strange=strange_here))
        header, used = read_header(path, self.dialect), set(names)
        unread = tuple(printable(name, 40) for name in header if name not in used)
        beside_by = {}
        if deciding.column is None:  # else it is said already what belongs together
            beside_by = find_repeating(path, names, schema, self.dialect)
        return {
            client: replace(join_pieces(pieces), unread=unread, repeating=beside_by.get(client, ()))
            for client, pieces in pieces_by_client.items()
        }


class _Reader:
    """A task as the key of a cache: equal sections read alike."""

    def __init__(self, task: Csv) -> None:
        self.task, self._key = task, task.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reader) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)


def _no_file(folder: Path, client: str) -> DataError:
    names = sorted(files_by_client(folder))
    beside = f"it has those of {list_names(names)}" if names else "it has no CSV file at all"
    return DataError(f"{folder} has no file {client}.csv; {beside}.")


def _state(path: Path) -> tuple[int, ...]:
    """What tells that a file has changed: two times in ns, its bytes, its inode."""
    status = path.stat()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=4)  # a simulation's clients may share one file, or one a part
def _tables(reader: _Reader, path: Path, state: tuple[int, ...]) -> dict[str | None, Table]:
    return reader.task.tables(path)


def _clients(folder: Path, schema: SchemaConfig) -> list[str]:
    """The clients of a folder, or of any of its folders train/, validation/ and test/."""
    folders = part_folders(folder)
    check_folders(folders, schema)
    return clients_in(list(folders.values()) or [folder], schema.client, dialect_of(schema))
