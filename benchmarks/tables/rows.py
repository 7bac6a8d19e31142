"""A run's own rows: the split that it made, as a table that scikit-learn takes.

Shapes: N rows, C columns of the schema, F columns after one-hot codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from calyx.data.schema import Schema, Table, join
from calyx.tasks.registry import load_task
from client.rows.splitting import PART_NAMES, PartName, split

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class RunRows:
    """The rows of all clients of a run, in the parts that it had."""

    schema: Schema
    parts: dict[PartName, Table]


def rows_of(run: Path) -> RunRows:
    """The rows of a run of `task=csv`, dealt anew from its config: task, seed and client decide."""
    cfg = yaml.safe_load((run / "config.yaml").read_text())
    section: dict[str, Any] = dict(cfg["task"])
    folder = Path(section.pop("data_dir"))
    section.pop("faults", None)
    task, seed = load_task(section), cfg["seed"]
    dealt = [split(task.load(name, folder, seed), seed, name) for name in task.clients]
    return RunRows(task.schema, {p: join([parts[p] for parts in dealt]) for p in PART_NAMES})


def missing_as_nan(x: Numbers, schema: Schema) -> Numbers:
    """The inputs [N, C] with NaN for every number that means missing."""
    x = x.copy()
    for i, column in enumerate(schema.columns):
        x[np.isin(x[:, i], column.missing_codes), i] = np.nan
    return x


@dataclass(frozen=True)
class Prepared:
    """What a person does by hand: medians, means and deviations of the training rows."""

    schema: Schema
    median: Numbers  # [C]
    mean: Numbers  # [F]
    deviation: Numbers  # [F], 1 where a column has one value

    @classmethod
    def of(cls, x: Numbers, schema: Schema) -> "Prepared":
        """Fitted to training rows [N, C]."""
        x = missing_as_nan(x, schema)
        empty = np.isnan(x).all(axis=0)
        median = np.where(empty, 0.0, np.nanmedian(np.where(empty, 0.0, x), axis=0))
        wide = _wide(x, schema, median)
        deviation = wide.std(axis=0)
        deviation[deviation == 0] = 1.0
        return cls(schema, median, wide.mean(axis=0), deviation)

    def apply(self, x: Numbers) -> Numbers:
        """Rows [N, C] as [N, F]: one-hot codes, medians for holes, standard scale."""
        wide = _wide(missing_as_nan(x, self.schema), self.schema, self.median)
        return (wide - self.mean) / self.deviation


def _wide(x: Numbers, schema: Schema, median: Numbers) -> Numbers:
    """Numbers and ranks with medians for holes; a hole among categories is zeros."""
    found: list[Sequence[Numbers] | Numbers] = []
    for i, column in enumerate(schema.columns):
        if column.kind == "categorical":
            found.append((x[:, i, None] == np.array(column.categories)).astype(np.float64))
        else:
            found.append(np.where(np.isnan(x[:, i]), median[i], x[:, i])[:, None])
    return np.concatenate(found, axis=1)
