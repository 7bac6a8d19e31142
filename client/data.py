"""From a client's raw rows to parts ready for a model: load, check, split, preprocess.

Everything is derived from (task, preprocessing, seed, client), and kept while the process lives.
"""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calyx.config import canonical_json, parse
from calyx.errors import DataError
from calyx.order import Terms
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import Fitted, apply, fit
from calyx.registry import load_task
from calyx.seeding import rng
from calyx.tasks.base import Table, Task
from calyx.wire import FailureCode
from client import journal
from client.checks import Finding, check_parts, check_table
from client.failures import ClientFailure
from client.journal import Note

PartName = Literal["train", "validation", "test"]
PART_NAMES: tuple[PartName, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Part:
    """Rows as the model takes them: `x` [N, F] float32 and `y` [N].

    `y` are int64 classes, or float32 values in units of the target's scale.
    """

    x: NDArray[np.float32]
    y: NDArray[Any]
    num_classes: int  # K; 0 for a regression

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.y)


@dataclass(frozen=True)
class Participant:
    """One client's data. `raw` are the same parts before preprocessing, for baselines."""

    name: str
    task: Task
    raw: dict[PartName, Table]
    parts: dict[PartName, Part]
    fitted: Fitted
    findings: tuple[Finding, ...]

    @property
    def num_inputs(self) -> int:
        """F, the width of the model's input; the same on every client."""
        return int(self.parts["train"].x.shape[1])


def split(table: Table, seed: int, client: str) -> dict[PartName, Table]:
    """60 % training, 20 % validation, 20 % test rows, drawn by (seed, client); blocks stay whole."""
    draw = rng(seed, "split", client=client)
    fifth = round(len(table) / 5)
    ends = (fifth, 2 * fifth)
    if table.blocks is None:
        rows = draw.permutation(len(table)).astype(np.int64)
    else:
        rows, ends = _shuffle_blocks(table.blocks, draw, ends)
    return {
        "train": table.take(rows[ends[1] :]),
        "validation": table.take(rows[: ends[0]]),
        "test": table.take(rows[ends[0] : ends[1]]),
    }


def _shuffle_blocks(
    blocks: NDArray[np.int64], draw: np.random.Generator, wanted: tuple[int, int]
) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Rows, block by block in a drawn order, and of their ends the nearest to those `wanted`."""
    numbers, block = np.unique(blocks, return_inverse=True)
    place = draw.permutation(len(numbers))[block]
    ends = np.concatenate([[0], np.cumsum(np.bincount(place))])
    first, second = (int(ends[np.abs(ends - end).argmin()]) for end in wanted)
    return np.argsort(place, kind="stable").astype(np.int64), (first, second)


def to_part(table: Table, fitted: Fitted) -> Part:
    """Preprocess rows. Raises ClientFailure where missing values would be left."""
    schema = fitted.schema
    y = table.y
    if schema.target is not None:
        y = ((y - schema.target.center) / schema.target.scale).astype(np.float32)
    try:
        return Part(apply(fitted, table), y, len(schema.classes))
    except ValueError as error:
        raise ClientFailure(FailureCode.MISSING_VALUES, str(error)) from None


def prepare(terms: Terms, client: str, data_dir: Path | None) -> Participant:
    """This client's data as the terms of a run want it. Raises ClientFailure."""
    sections = {"task": terms.task, "preprocessing": terms.preprocessing, "seed": terms.seed}
    return _prepare(canonical_json(sections), client, data_dir)


@lru_cache(maxsize=4096)
def _prepare(sections: str, client: str, data_dir: Path | None) -> Participant:
    values: dict[str, Any] = json.loads(sections)
    task, seed = load_task(values["task"]), values["seed"]
    cfg = parse(PreprocessingConfig, values["preprocessing"], "preprocessing")
    try:
        table = task.load(client, data_dir, seed)
    except DataError as error:
        raise ClientFailure(FailureCode.DATA_UNREADABLE, str(error)) from None
    findings = check_table(table, task.schema)
    raw = split(table, seed, client)
    findings += check_parts({str(k): v for k, v in raw.items()})
    fitted = fit(raw["train"], task.schema, cfg)
    parts = {name: to_part(rows, fitted) for name, rows in raw.items()}
    participant = Participant(client, task, raw, parts, fitted, tuple(findings))
    for note in describe(participant):
        journal.write(note.kind, **note.fields)
    return participant


def describe(participant: Participant) -> list[Note]:
    """Journal entries about a client's data: its rows and labels, and each finding."""
    labels, classes = [r.y for r in participant.raw.values()], participant.task.schema.classes
    # A regression has no classes, and none are counted.
    counts = (
        np.bincount(np.concatenate(labels), minlength=len(classes)) if classes else labels[0][:0]
    )
    rows: dict[str, int] = {name: len(part) for name, part in participant.parts.items()}
    data = Note("data", {"rows": rows, "label_counts": counts.tolist()})
    return [data, *(Note("finding", asdict(finding)) for finding in participant.findings)]
