"""What one client's rows add to the blocks of a survey. Small cells are hidden here, by the client.

Neither a total of a sample nor a difference of two totals is of a small number of rows. That holds by
construction: small groups of a variable's rows join others (`regrouping`), and of the cells that are
left only those are sent that `suppression` allows. A test solves, for every part of the rows, what the
vector tells of it.

Shapes: N rows, R variables with a range, B bins, K classes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema, Table
from calyx.survey.blocks import ALL, ITEMS, WITHHELD, Cells, Item, Survey
from calyx.survey.categories import Classes, measure_categories
from calyx.survey.moments import Bounds, power_sums
from calyx.survey.numeric_measuring import Beside, measure_numbers
from calyx.survey.regrouping import regroup
from calyx.survey.spread import Shares, powers, shares_of
from calyx.survey.suppression import coarse, suppress, suppress_part
from calyx.survey.variables import Variable, numeric, target_of, values_of, variables
from calyx.vector.weighing import SITES_BY_ROWS, site_by_rows

Measured = dict[str, Cells]  # cells [size] by a block's name

Values = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]
FEW = 12  # different values of a target, up to which its sums tell how often each stands


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
    own_blocks = {}
    for sample in survey.samples:
        table, blocks = samples[sample], survey.blocks(sample)
        own = _sample(table, survey, minimum) if len(table) >= minimum else {}
        for block in blocks:
            cells = own[block.name] if own and block.item in allowed else np.zeros(block.size, int)
            kind = object if block.is_wide else np.int64
            own_blocks[f"{sample}/{block.name}"] = cells.astype(kind).reshape(-1)
        absent = [not own or item not in allowed for item in ITEMS]
        own_blocks[f"{sample}/{WITHHELD}"] = np.array(absent, dtype=np.int64)
    if survey.is_weighed:
        own_blocks[SITES_BY_ROWS] = site_by_rows(samples, ALL, minimum) * int("rows" in allowed)
    return own_blocks


def _sample(table: Table, survey: Survey, minimum: int) -> Arrays:
    schema, n = survey.schema, len(table)
    labels = (
        np.bincount(table.y, minlength=len(schema.classes)) if schema.classes else np.array([n])
    )
    shown, is_hidden = suppress(labels, minimum)
    rows = _Rows(table, schema, minimum, labels, shown == labels)
    parts = [_variable(v, rows) for v in variables(schema)]
    cells: Arrays = {
        name: np.concatenate([np.atleast_1d(p[name]) for p in parts if name in p] or [np.zeros(0)])
        for name in dict.fromkeys(key for part in parts for key in part)
    }
    cells["rows"] = np.array([n])
    repeated = n - len(np.unique(table.hashes))
    told, is_open = suppress(np.array([repeated, n - repeated]), minimum)
    most = minimum - 1 if repeated < minimum else n
    cells["duplicates"], cells["duplicates_open"] = told[:1], np.array([most * is_open])
    if schema.classes:
        cells["labels"], cells["hidden_labels"] = shown, np.array([is_hidden])
        cells["hidden_label_rows"] = np.array([n - shown.sum()])
        cells["powers_label"] = powers(shares_of(labels, minimum))
    cells["powers_missing"] = _powers(cells, "missing", np.full(len(cells["missing"]), n), minimum)
    if "share_category" in cells:
        cells["powers_category"] = _powers(cells, "category", cells["rows_category"], minimum)
    if "mean" in cells:
        cells["spread_mean"] = cells.pop("mean").reshape(-1, 3).T
        means = cells.pop("share_mean").astype(np.float64)
        behind = np.array([coarse(int(count), minimum) for count in cells["present"]])
        cells["powers_mean"] = powers(Shares(means, np.zeros(len(means)), behind, 1))
    return cells


def _powers(cells: Arrays, what: str, rows: NDArray[np.generic], minimum: int) -> Cells:
    """Take out the shares that all variables have left under this name; returns sums of their powers."""
    values, margins = (cells.pop(f"{key}_{what}").astype(np.float64) for key in ("share", "margin"))
    return powers(Shares(values, margins, rows.astype(np.float64), minimum))


def _variable(variable: Variable, rows: _Rows) -> Arrays:
    raw, coded = values_of(variable, rows.table, rows.schema)
    n, minimum = len(raw), rows.minimum
    if variable.categories:
        classes = Classes(rows.classes, rows.labels, rows.is_shown)
        of_categories = measure_categories(variable, raw, coded, classes, minimum)
        is_hidden = bool(of_categories["hidden"][0])
        seen, unseen = min(coded, int(of_categories["missing"][0])), of_categories["hidden_rows"]
        is_exact = bool(of_categories["coded"][0] == seen)
        is_open = any(_has_codes(rows.schema.columns[i]) for i in variable.columns)
        of_categories["coded_open"] = (unseen + (minimum - 1) * (not is_exact)) * is_open
        return of_categories | _target_sums(raw, variable, rows, is_hidden)
    regrouped = regroup(raw, variable.bounds, minimum)
    values = regrouped.values
    missing = int(np.isnan(values).sum())
    told = suppress_part(coded, missing, minimum)
    cells: Arrays = {
        "missing": np.array([missing]),
        "coded": np.array([told]),
        "coded_open": np.array([(minimum - 1) * (told != coded)]),
        "absent": np.array([np.isnan(raw).all()]),
    }
    holes = shares_of(np.array([missing, n - missing]), minimum)
    cells["share_missing"] = holes.values[:1]
    moved = minimum / n if regrouped.is_changed else 0.0
    cells["margin_missing"] = holes.margins[:1] + moved
    more = {}
    if variable.bounds is not None:
        more = measure_numbers(variable.bounds, regrouped, _beside(rows))
        more["share_mean"] = _near(more["share_mean"], variable)
    if regrouped.is_changed and "class_total" in more:
        more["class_total"] = np.zeros_like(more["class_total"])  # some rows' marks are not told
        more["class_missing"] = np.zeros_like(more["class_missing"])
    is_hidden = regrouped.is_changed or bool(more.pop("is_hidden", np.array([False]))[0])
    tells = more.pop("tells", np.array([False]))
    more["shown_correlation"] = np.array([variable.role != "target" and bool(tells[0])])
    blank = np.zeros(len(rows.labels), dtype=np.int64)
    more = {"class_missing": blank, "class_total": blank} | more
    more["shown_marks"] = np.array([more["class_total"].any()])
    cells |= _target_sums(values, variable, rows, regrouped.is_changed)
    return cells | more | {"hidden": np.array([is_hidden])}


def _has_codes(column: Column) -> bool:
    """Whether a category can stand for a missing one: by a code, or since nobody declared it."""
    is_word = column.kind == "ordinal" or column.unknown == "missing"
    return bool(column.missing_codes) or is_word


def _beside(rows: _Rows) -> Beside:
    """What stands beside a numeric variable."""
    schema, target = rows.schema, target_of(rows.schema)
    y, columns = rows.table.y.astype(np.float64), len(numeric(schema))
    bounds = None if target is None else target.bounds
    return Beside(y, rows.labels, rows.is_shown, bounds, rows.minimum, columns)


def _near(share: NDArray[np.generic], variable: Variable) -> NDArray[np.float64]:
    """A mean's share of the bounds as one of `near`, cut to 0 … 1.

    Cutting takes no two sites farther from each other than they are, so that some site is off by
    what the powers say at least.
    """
    (low, high), near = variable.bounds or (0.0, 1.0), variable.near
    if near == (low, high):
        return share.astype(np.float64)
    mean = low + share.astype(np.float64) * (high - low)
    return np.clip((mean - near[0]) / (near[1] - near[0]), 0.0, 1.0)  # NaN stays


def _target_sums(
    values: NDArray[np.float64], variable: Variable, rows: _Rows, is_hidden: bool
) -> Arrays:
    """Sums of a regression's target by missing, and by category; nothing where rows are hidden."""
    target, known = target_of(rows.schema), variable.categories
    if target is None or target.bounds is None:
        return {}
    y = rows.table.y.astype(np.float64)
    groups = np.where(np.isnan(values), 0, len(known) + 1)
    for place, category in enumerate(known):
        groups[values == category] = place + 1
    is_told = not is_hidden and is_safe(y, target.bounds)
    at = groups if is_told else np.full(len(groups), -1)  # of no group
    sums = target_sums(y, at, len(known), target.bounds)
    return sums | {"shown_target": np.array([is_told])}


def target_sums(y: Values, groups: Cells, count: int, bounds: Bounds) -> Arrays:
    """Rows, Σ and Σ of squares of a target y [N] by `groups` [N], to the digits that are told.

    0 is missing, 1 … J are the `count` categories, J + 1 is what is none of them, and a row of -1 is
    in no sum. `bounds` are the target's.
    """
    lines = []
    for group in range(count + 2):
        values = y[groups == group]
        lines.append([len(values), *power_sums(values, bounds)])
    table = np.array(lines, dtype=object)
    return {
        "target_whole": table.sum(axis=0),
        "target_missing": table[0],
        "target_category": table[1 : count + 1].reshape(-1),
    }


def is_safe(y: Values, bounds: Bounds) -> bool:
    """Whether sums of a target [N] tell no counts of rows: it is within its bounds, and of many values."""
    is_inside = bool((y >= bounds[0]).all() and (y <= bounds[1]).all())
    return len(y) > 0 and is_inside and len(np.unique(y)) > FEW
