"""From a client's raw rows to parts ready for a model: load, check, split, preprocess.

Everything is derived from (task, preprocessing, seed, client), and kept while the process lives.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from calyx.config.section import Section, canonical_json, digest
from calyx.data.faults import corrupt, parse_faults
from calyx.data.schema import Part, Table
from calyx.errors import ConfigError, DataError, UserError
from calyx.inspection.finding import LocalFinding
from calyx.machine.spans import span
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitted import Fitted
from calyx.preprocessing.fitting import apply, fit
from calyx.run.order import Terms
from calyx.tasks.registry import load_task
from calyx.tasks.task import AgreedReading, NamedClients, Task
from calyx.wire.messages import FailureCode
from client import journal
from client.config import Site
from client.failures import ClientFailure
from client.journal import Note
from client.rows.checks import check_table, with_stand_ins
from client.rows.kept import Kept, share_of_memory
from client.rows.loading import load, too_large
from client.rows.part_checks import check_parts, check_split
from client.rows.splitting import Fold, PartName, split, split_fold

_OF_COLUMN = 256  # bytes of what is known of a column, in each part


@dataclass(frozen=True)
class Rows:
    """One client's rows before anything is done to them."""

    name: str
    task: Task
    table: Table
    parts: dict[PartName, Table]
    findings: tuple[LocalFinding, ...]
    reading: str = ""  # a digest of the settings that they were read and split by

    @cached_property
    def version(self) -> str:
        """A digest of the rows: another one where anything in them has changed."""
        table = self.table
        state = hashlib.sha256(repr((table.x.shape, table.y.dtype.str)).encode())
        # Other groups or times are another split: a row that was trained on might be tested.
        for array in (table.x, table.y, table.blocks, table.parts, table.times):
            if array is not None:
                state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()

    @cached_property
    def part_digests(self) -> dict[str, str]:
        """A digest of the rows of each part, in their order."""
        hashes = {name: part.hashes.tobytes() for name, part in self.parts.items()}
        return {name: hashlib.sha256(data).hexdigest() for name, data in hashes.items()}

    @cached_property
    def _fits(self) -> dict[PreprocessingConfig, Fitted]:
        return {}

    def fit(self, cfg: PreprocessingConfig) -> Fitted:
        """What the training part gives by itself, without constants in `cfg`; fitted once a config."""
        if cfg not in self._fits:
            self._fits[cfg] = fit(self.parts["train"], self.task.schema, cfg)
        return self._fits[cfg]


@dataclass(frozen=True)
class ClientData:
    """One client's data. `raw` are the same parts before preprocessing, for baselines."""

    name: str
    task: Task
    raw: dict[PartName, Table]
    parts: dict[PartName, Part]
    fitted: Fitted
    findings: tuple[LocalFinding, ...]

    @property
    def num_inputs(self) -> int:
        """F, the width of the model's input; the same on every client."""
        return int(self.parts["train"].x.shape[1])


def to_part(table: Table, fitted: Fitted) -> Part:
    """Preprocess rows. Raises ClientFailure where missing values would be left."""
    schema = fitted.schema
    y, exact = table.y, None
    if schema.target is not None:
        exact = (y.astype(np.float64) - schema.target.center) / schema.target.scale
        with np.errstate(over="ignore"):  # infinity: no finite loss, and the training says so
            y = exact.astype(np.float32)
    try:
        return Part(apply(fitted, table), y, len(schema.classes), exact)
    except ValueError as error:
        raise ClientFailure(FailureCode.MISSING_VALUES, str(error)) from None


def read_rows(terms: Terms, client: str, data_dir: Path | None, fold: int | None = None) -> Rows:
    """This client's rows, split as the terms of a run want it. Raises ClientFailure.

    With a `fold` of a cross-validation of the rows, the test part is that fold.
    """
    with span("load"):
        return _read(_reading(terms, client, data_dir, fold))


def forget() -> None:
    """Read and prepare rows anew from now on."""
    _read.cache_clear()
    _prepare.cache_clear()


def version_of(task: Section, seed: int, client: str, data_dir: str | None) -> str:
    """The digest of a client's rows, for another process. Raises ClientFailure."""
    return rows_of(task, seed, client, Path(data_dir) if data_dir else None).version


def rows_of(task: Section, seed: int, client: str, data_dir: Path | None) -> Rows:
    """A client's rows without a run: read now, checked and split. Raises ClientFailure, UserError."""
    return _read.make(_Reading(_settings(task, seed), client, data_dir))


def check_agreed(terms: Terms, site: Site) -> None:
    """On a site: that its rows are for this task, read as it agreed to and not as a server likes best.

    Raises ConfigError, before a row is read: such an order is none that failed on the rows. In
    simulation site and server are one person's.
    """
    if not site.is_deployed:
        return
    task = task_of(terms)
    try:
        if isinstance(task, AgreedReading):
            task.check_agreed(site.data_dir)
        if isinstance(task, NamedClients):
            task.check_client(site.name, site.data_dir)
    except (UserError, OSError) as error:
        raise ConfigError(str(error)) from None


def task_of(terms: Terms) -> Task:
    """The task of these terms. Raises ConfigError."""
    return _task(canonical_json(terms.task))


@lru_cache(maxsize=8)  # each message needs it
def _task(section: str) -> Task:
    return load_task(json.loads(section))


def prepare_rows(
    terms: Terms,
    preprocessing: PreprocessingConfig,
    client: str,
    data_dir: Path | None,
    fold: int | None = None,
) -> ClientData:
    """This client's data as a run of these terms wants it, in a fold or not. Raises ClientFailure."""
    with span("prepare"):
        return _prepare(_Preparing(_reading(terms, client, data_dir, fold), preprocessing, fold))


@dataclass(frozen=True)
class _Reading:
    """What a client's rows and their split follow from: of two equal ones the second reads nothing."""

    settings: str  # canonical JSON of task and seed
    client: str
    data_dir: Path | None
    fold: Fold | None = None  # whose rows test; None: no cross-validation of rows


@dataclass(frozen=True)
class _Preparing:
    """What a client's prepared data follows from."""

    reading: _Reading
    cfg: PreprocessingConfig
    fold: int | None  # whose constants these are


def _reading(terms: Terms, client: str, data_dir: Path | None, fold: int | None) -> _Reading:
    own = None
    if fold is not None and terms.cv is not None and terms.folds:
        own = Fold(fold, terms.folds, leaves_test=terms.cv.combine is not None)
    return _Reading(_settings(terms.task, terms.seed), client, data_dir, own)


def _settings(task: Section, seed: int) -> str:
    return canonical_json({"task": task, "seed": seed})


@contextmanager
def _in_memory(client: str, table: Table) -> Iterator[None]:
    """Raise ClientFailure where memory does not hold what is made of these rows in the block."""
    try:
        yield
    except MemoryError as error:
        rows, columns = table.x.shape
        size = f"{rows:,} rows of {columns:,} columns, {table.x.nbytes / 2**20:,.0f} MiB as they are read"
        raise ClientFailure(FailureCode.DATA_UNREADABLE, too_large(client, size)) from error


def _read_anew(reading: _Reading) -> Rows:
    values: dict[str, Any] = json.loads(reading.settings)
    seed, client = values["seed"], reading.client
    task = _task(canonical_json(values["task"]))
    if reading.fold is not None:  # of the very rows that the run's other orders see
        whole = _read(replace(reading, fold=None))
        parts = split_fold(whole.table, seed, client, reading.fold)
        findings = check_table(whole.table, task.schema) + check_parts(parts)
        return replace(whole, parts=parts, findings=tuple(findings))
    faults = parse_faults(values["task"].get("faults"), task.clients, task.schema)
    try:
        table = load(task, client, reading.data_dir, seed)
        table = corrupt(table, task.schema, faults, client, seed)
    except DataError as error:
        raise ClientFailure(FailureCode.DATA_UNREADABLE, str(error)) from error
    with _in_memory(client, table):
        findings = check_table(table, task.schema)  # which hashes the rows, for their parts too
        parts = split(table, seed, client)
        findings += check_parts(parts) + check_split(table, parts, task.schema)
    return Rows(client, task, table, parts, tuple(findings), digest(values))


def _prepare_anew(wanted: _Preparing) -> ClientData:
    with span("load"):
        rows, cfg = _read(wanted.reading), wanted.cfg
    with _in_memory(rows.name, rows.table):
        fitted = _fit(rows, cfg, wanted.fold or 0)
        parts = {name: to_part(part, fitted) for name, part in rows.parts.items()}
    findings = with_stand_ins(rows.findings, fitted, {str(k): v for k, v in rows.parts.items()})
    data = ClientData(rows.name, rows.task, rows.parts, parts, fitted, findings)
    said = [] if cfg.fitted is None else [_tell(finding) for finding in rows.findings]
    for note in describe(data):
        is_coded = cfg.fitted is not None and note.kind == "finding" and note not in said
        journal.write("coded" if is_coded else note.kind, **note.fields)
    return data


def _fit(rows: Rows, cfg: PreprocessingConfig, fold: int) -> Fitted:
    if cfg.fitted is None:
        return rows.fit(cfg)
    return fit(rows.parts["train"], rows.task.schema, cfg, fold)


def _bytes_of(parts: Mapping[PartName, Table] | Mapping[PartName, Part]) -> int:
    return sum(part.x.nbytes + _OF_COLUMN * part.x.shape[1] for part in parts.values())


_read = Kept(_read_anew, lambda rows: rows.table.x.nbytes + _bytes_of(rows.parts), share_of_memory)
_prepare = Kept(
    _prepare_anew, lambda data: _bytes_of(data.raw) + _bytes_of(data.parts), share_of_memory
)


def with_all_tested(data: ClientData, rows: Rows) -> ClientData:
    """With all rows as the test part: of a client whose rows a model has never seen."""
    return replace(data, parts=data.parts | {"test": to_part(rows.table, data.fitted)})


def with_test_of(data: ClientData, rows: Rows) -> ClientData:
    """With the test part of a training, of which folds that are combined have no row."""
    return replace(data, parts=data.parts | {"test": to_part(rows.parts["test"], data.fitted)})


def describe(data: ClientData) -> list[Note]:
    """Journal entries about a client's data: its rows and labels, and each finding."""
    labels, classes = [r.y for r in data.raw.values()], data.task.schema.classes
    # A regression has no classes, and none are counted.
    counts = (
        np.bincount(np.concatenate(labels), minlength=len(classes)) if classes else labels[0][:0]
    )
    rows: dict[str, int] = {name: len(part) for name, part in data.parts.items()}
    summary = Note("data", {"rows": rows, "label_counts": counts.tolist()})
    return [summary, *map(_tell, data.findings)]


def _tell(finding: LocalFinding) -> Note:
    return Note("finding", asdict(finding))
