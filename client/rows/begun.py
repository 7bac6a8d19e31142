"""What a client began a run with: which rows, and what it fitted on them; one file a client and run.

The file is written before the client's first reply of the run, holds no row, and never leaves the
machine: on a site it lies in its state folder, in simulation in the run's. Who reads the rows again
can tell by it whether they still are those, and predictions use the constants of the training.
See docs/decisions/0041.
"""

import hashlib
import json
import logging
import re
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from calyx.config.section import NonNegativeInt, config, digest, parse_file
from calyx.data.schema import Schema, Table
from calyx.errors import ConfigError, UserError
from calyx.files.plain import strict_json, write_atomically
from calyx.preprocessing.config import Constants, PreprocessingConfig
from calyx.preprocessing.constants import recall_fit
from calyx.preprocessing.fitted import Fitted, short_constants_of
from calyx.run.folds import own_run
from calyx.run.order import Hex32, Order
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.wire.messages import FailureCode
from client.config import Site
from client.failures import ClientFailure
from client.learning.store import file_label
from client.rows.data import Rows

log = logging.getLogger(__name__)
_MAX_BYTES = 16 * 2**20
_MODE = 0o600
_KEPT = 256  # runs of one client; a server can begin any number


@config
class Begun:
    """The rows of one client at the beginning of a run, as digests, and what it fitted on them."""

    # Of files of the first format all but the digests of rows is the same, which were of another hash.
    format: Literal["calyx-begun/1", "calyx-begun/2"]
    run: str  # Calyx's own id
    client: str
    reading: str  # digest of the settings that the rows were read and split by
    schema: Hex32  # of the task's schema
    version: Hex32  # of the rows in their order, and of what decides their split
    order: Hex32  # of the rows in their order
    content: Hex32  # of the rows in any order
    rows: NonNegativeInt
    parts: dict[str, Hex32]  # of the rows of training, validation and test
    preprocessing: PreprocessingConfig
    # What it fits itself: one a column, or a single one that all of them have. None: not finite.
    constants: tuple[Constants, ...] | None

    def difference(self, rows: Rows) -> str | None:
        """What is different about these rows, as a clause; None where they are the same."""
        if self.format == "calyx-begun/1":
            return "an earlier version of Calyx began it, and kept other digests of them"
        if self.version == rows.version and self.parts == rows.part_digests:
            return None
        number = len(rows.table)
        if number != self.rows:
            return f"{number:,} rows instead of {self.rows:,}"
        if self.order == _order(rows.table):
            return "the same rows, dealt otherwise into training, validation and test"
        if self.content == _content(rows.table):
            return "the same rows in another order"
        return f"as many rows ({number:,}), with other values"

    def recall(self, schema: Schema) -> Fitted | None:
        """Make what was fitted from its constants; None where they were not finite.

        Raises ConfigError where they cannot be of this schema.
        """
        if self.schema != schema_digest(schema):
            raise ConfigError("it is of another schema")
        if self.constants is None:
            return None
        is_shared = len(self.constants) == 1
        constants = self.constants * len(schema.columns) if is_shared else self.constants
        return recall_fit(schema, self.preprocessing, constants)


@dataclass(frozen=True)
class Beginning:
    """The file of one client in one run."""

    folder: Path
    run: str
    client: str
    is_synced: bool = True  # not in a simulation, which would wait for the disk for each client

    @cached_property
    def path(self) -> Path:
        """Where it is; a server chose the letters of the run, and no two clients share a name."""
        head = hashlib.sha256(json.dumps([self.run, self.client]).encode()).hexdigest()[:16]
        return self.folder / f"{file_label(self.client)}-{head}.json"

    @property
    def state(self) -> tuple[int, ...]:
        """What tells the file from another one, or from a later state of its own. Raises OSError."""
        now = self.path.lstat()
        return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns

    def read(self) -> Begun | None:
        """What was kept; None if nothing was, or a loss of power took what was not synced.

        Raises UserError for a file that is damaged.
        """
        if not self.is_synced and self.path.is_file() and self.path.lstat().st_size == 0:
            return None
        begun = parse_file(Begun, self.path, _MAX_BYTES)
        if begun is not None and (begun.run, begun.client) != (self.run, self.client):
            raise UserError(f"{self.path} is of another client or run; restore it from a copy.")
        return begun

    def write(self, begun: Begun) -> None:
        """Keep it, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # As `asdict`, which would copy each of the constants.
        values = {field.name: getattr(begun, field.name) for field in fields(begun)}
        values["preprocessing"] = _section_of(begun.preprocessing)
        write_atomically(self.path, strict_json(values).encode(), _MODE, is_synced=self.is_synced)

    def drop_older(self) -> None:
        """Of this client's runs only the last `_KEPT` are kept; a simulation's folder is of one run."""
        pattern = re.compile(rf"{re.escape(file_label(self.client))}-[0-9a-f]{{16}}\.json")
        own = [path for path in self.folder.iterdir() if pattern.fullmatch(path.name)]
        for old in sorted(own, key=lambda path: path.stat().st_mtime_ns)[:-_KEPT]:
            old.unlink(missing_ok=True)


def begin(where: Beginning, rows: Rows, preprocessing: PreprocessingConfig) -> None:
    """Keep what a run begins with: these rows, and what a client fits on their training part itself.

    That is kept where constants are to come with the model, too: they may not be had.
    """
    name = "local" if preprocessing.is_federated else preprocessing.name
    own = replace(preprocessing, name=name, fitted=None)
    fitted, hashes = rows.fit(own), rows.table.hashes
    is_sound = bool((np.isfinite(fitted.mean) & (fitted.scale > 0)).all())
    begun = Begun(
        format="calyx-begun/2",
        run=where.run,
        client=where.client,
        reading=rows.reading,
        schema=schema_digest(rows.task.schema),
        version=rows.version,
        order=_digest(hashes.tobytes()),
        content=_digest(np.sort(hashes).tobytes()),
        rows=len(rows.table),
        parts=rows.part_digests,
        preprocessing=own,
        constants=short_constants_of(fitted) if is_sound else None,
    )
    where.write(begun)
    if not where.is_synced:
        # A simulation's client is asked again soon, and to read hundreds of constants takes a millisecond.
        _written[where] = where.state, replace(begun, constants=None)


def compare(site: Site, order: Order, preprocessing: PreprocessingConfig, rows: Rows) -> None:
    """Before a client works on an order: its `rows` are those that it began the run with.

    The first order of a run begins it. Raises ClientFailure where the rows have changed since, and
    Refusal where the order would read or split them by other settings: "these are others" would then
    answer a question of the server's choice.
    """
    if site.store is None:
        return  # Flower's own simulation, whose clients have no folder
    where = Beginning(site.store, own_run(order.run), site.name, site.is_deployed)
    try:
        begun = _glance(where)
    except UserError as error:
        sentence = f"Whether the rows are those that this run began with cannot be told: {error}"
        raise ClientFailure(FailureCode.ROWS_CHANGED, sentence) from None
    if begun is None:
        try:
            begin(where, rows, preprocessing)
            if site.is_deployed:
                where.drop_older()
        except OSError:
            if site.is_deployed:
                raise
            # A machine of a cluster that does not share the run's folder: the launcher keeps it.
            log.debug("%s cannot be written.", where.path, exc_info=True)
        return
    if begun.reading != rows.reading:
        raise Refusal(RefusalCode.RULES_CHANGED, "The run's task or seed have changed.")
    what = begun.difference(rows)
    if what is not None:
        raise ClientFailure(
            FailureCode.ROWS_CHANGED,
            f"The rows are not those that this client began the run with ({what}). Put those back to "
            "take part in the rest of this run; a new run begins with the new ones.",
        )


def _glance(where: Beginning) -> Begun | None:
    """What was kept, without constants. Raises UserError.

    Every order asks, so that the file is read again only where it is another one, or was written since.
    """
    try:
        return _read(where, where.state)
    except OSError:
        return where.read()


# What this process has written and not asked for since, and the state of its file then.
_written: dict[Beginning, tuple[tuple[int, ...], Begun]] = {}


@lru_cache(maxsize=4096)
def _read(where: Beginning, state: tuple[int, ...]) -> Begun | None:
    then, begun = _written.pop(where, (None, None))
    if begun is None or then != state:
        begun = where.read()
    return begun and replace(begun, constants=None)


@lru_cache(maxsize=8)
def _section_of(cfg: PreprocessingConfig) -> dict[str, Any]:
    return asdict(cfg)


@lru_cache(maxsize=8)
def schema_digest(schema: Schema) -> str:
    """SHA-256 of what a schema's columns and answers are called, and of what kind they are."""
    columns = [[c.name, c.kind, list(c.categories), list(c.words)] for c in schema.columns]
    return digest([columns, list(schema.classes), schema.target and schema.target.name])


def _order(table: Table) -> str:
    return _digest(table.hashes.tobytes())


def _content(table: Table) -> str:
    return _digest(np.sort(table.hashes).tobytes())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
