"""What one client's rows add to the blocks of a survey. Small cells are hidden here, by the client.

No difference of totals of one sample is a small number of rows either, which holds by construction:
a variable's small groups join others (`regrouping`), and of the rest is shown what `suppression`
lets stand. A test solves for every part of the rows what the vector tells of it.

Shapes: N rows, R variables with a range, B bins, K classes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.statistics.blocks import ITEMS, SHARE_STEPS, WITHHELD, Cells, Item, Survey
from calyx.statistics.numeric_measuring import Beside, measure_numbers
from calyx.statistics.regrouping import regroup, regroup_categories
from calyx.statistics.repeats import row_hashes
from calyx.statistics.suppression import (
    coarse_shares,
    suppress,
    suppress_crossed,
    suppress_part,
)
from calyx.statistics.variables import TARGET, Variable, numeric, values_of, variables
from calyx.tasks.base import Schema, Table

Measured = dict[str, Cells]  # cells [size] by a block's name


Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class _Rows:
    """The rows of a sample, and what all its variables need to know."""

    table: Table
    schema: Schema
    minimum: int  # rows that a cell stands for at least
    labels: NDArray[np.int64]  # [K] rows by class; one "class" of a regression
    is_shown: NDArray[np.bool_]  # [K] whether others see a class's rows

    @property
    def classes(self) -> NDArray[np.int64]:
        """[N], all 0 of a regression."""
        y: NDArray[np.int64] = self.table.y if self.schema.classes else np.zeros_like(self.table.y)
        return y.astype(np.int64)


def measure(
    survey: Survey, samples: Mapping[str, Table], minimum: int, allowed: Collection[Item]
) -> Measured:
    """A client's cells by the names of `survey.counts()`; `samples` has a table for each sample.

    Items that are not allowed, and samples of fewer rows than `minimum`, are zero, and `withheld`
    says so.
    """
    found = {}
    for sample in survey.samples:
        table, blocks = samples[sample], survey.blocks(sample)
        own = _sample(table, survey, minimum) if len(table) >= minimum else {}
        for block in blocks:
            cells = own[block.name] if own and block.item in allowed else np.zeros(block.size, int)
            kind = object if block.is_wide else np.int64
            found[f"{sample}/{block.name}"] = cells.astype(kind).reshape(-1)
        absent = [not own or item not in allowed for item in ITEMS]
        found[f"{sample}/{WITHHELD}"] = np.array(absent, dtype=np.int64)
    return found


def _sample(table: Table, survey: Survey, minimum: int) -> Arrays:
    schema, n = survey.schema, len(table)
    labels = (
        np.bincount(table.y, minlength=len(schema.classes)) if schema.classes else np.array([n])
    )
    shown, is_hidden = suppress(labels, minimum)
    rows = _Rows(table, schema, minimum, labels, shown == labels)
    parts = [_variable(v, rows) for v in variables(schema)]
    found: Arrays = {
        name: np.concatenate([np.atleast_1d(p[name]) for p in parts if name in p] or [np.zeros(0)])
        for name in dict.fromkeys(key for part in parts for key in part)
    }
    found["rows"] = np.array([n])
    repeated = n - len(np.unique(row_hashes(table)))
    found["duplicates"] = suppress(np.array([repeated, n - repeated]), minimum)[0][:1]
    if schema.classes:
        found["labels"], found["hidden_labels"] = shown, np.array([is_hidden])
        found["spread_label"] = _spread(coarse_shares(labels, minimum).tolist())
    found["spread_missing"] = _spread([float(s) for s in found.pop("share_missing")])
    if "mean" in found:
        found["spread_mean"] = found.pop("mean").reshape(-1, 3).T
    return found


def _spread(shares: list[float]) -> Cells:
    """Σ over sites of these and of their squares, [2·V] steps: the mean and sd over sites."""
    values = np.array(shares, dtype=np.float64)
    steps: Cells = np.rint(np.concatenate([values, values**2]) * SHARE_STEPS).astype(np.int64)
    return steps


def _variable(variable: Variable, rows: _Rows) -> Arrays:
    raw, coded = values_of(variable, rows.table, rows.schema)
    n, minimum = len(raw), rows.minimum
    regrouped = regroup(raw, variable.bounds, minimum)
    values = regrouped.values
    missing = int(np.isnan(values).sum())
    found: Arrays = {
        "missing": np.array([missing]),
        "coded": np.array([suppress_part(coded, missing, minimum)]),
        "absent": np.array([np.isnan(raw).all()]),
        "share_missing": coarse_shares(np.array([missing, n - missing]), minimum)[:1],
    }
    if variable.categories:
        more = _categories(variable, values, rows)
    elif variable.bounds is not None:
        more = measure_numbers(variable.bounds, regrouped, _beside(rows))
    else:
        more = {}
    is_hidden = regrouped.is_changed or bool(more.pop("is_hidden", np.array([False]))[0])
    tells = [more[name].any() for name in ("tells", "class_category") if name in more]
    more.pop("tells", None)
    is_column = variable.name != TARGET
    more["shown_correlation"] = np.array([is_column and any(tells)])
    return found | more | {"hidden": np.array([is_hidden])}


def _beside(rows: _Rows) -> Beside:
    """What stands beside a numeric variable."""
    schema = rows.schema
    target = next((v.bounds for v in variables(schema) if v.name == TARGET and not v.columns), None)
    y, columns = rows.table.y.astype(np.float64), len(numeric(schema))
    return Beside(y, rows.labels, rows.is_shown, target, rows.minimum, columns)


def _categories(variable: Variable, values: NDArray[np.float64], rows: _Rows) -> Arrays:
    regrouped, known = (
        regroup_categories(values, variable.categories, rows.minimum),
        variable.categories,
    )
    values = regrouped.values
    cells = np.array([int((values == category).sum()) for category in known])
    unknown = int((~np.isnan(values)).sum()) - int(cells.sum())
    shown, is_hidden = suppress(np.append(cells, unknown), rows.minimum)
    found: Arrays = {
        "category": shown[:-1],
        "unknown": shown[-1:],
        "is_hidden": np.array([is_hidden or regrouped.is_changed]),
        "shown_categories": np.array([shown.any()]),
    }
    classes = len(rows.schema.classes)
    if classes:
        crossed = np.array(
            [np.bincount(rows.table.y[values == c], minlength=classes) for c in known]
        )
        which = (shown[:-1] > 0, rows.is_shown)
        found["class_category"] = suppress_crossed(
            crossed, rows.labels, which, rows.minimum
        ).reshape(-1)
    return found
