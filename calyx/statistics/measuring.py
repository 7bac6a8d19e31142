"""What one client's rows add to the blocks of a survey. Small cells are hidden here, by the client.

Shapes: N rows, R variables with a range, B bins, K classes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.statistics.blocks import (
    ITEMS,
    SHARE_STEPS,
    STEPS,
    WITHHELD,
    Cells,
    Item,
    Survey,
)
from calyx.statistics.suppression import coarse, suppress, with_total
from calyx.statistics.variables import Variable, values_of, variables
from calyx.tasks.base import Schema, Table

Measured = dict[str, Cells]  # cells [size] by a block's name


@dataclass(frozen=True)
class _Rules:
    schema: Schema
    bins: int
    minimum: int  # rows that a cell stands for at least


def measure(
    survey: Survey, samples: Mapping[str, Table], minimum: int, allowed: Collection[Item]
) -> Measured:
    """A client's cells by the names of `survey.counts()`; `samples` has a table for each sample.

    Items that are not allowed, and samples of fewer rows than `minimum`, are zero, and `withheld`
    says so.
    """
    rules, found = _Rules(survey.schema, survey.bins, minimum), {}
    for sample in survey.samples:
        table, blocks = samples[sample], survey.blocks(sample)
        own = _sample(table, rules) if len(table) >= minimum else {}
        for block in blocks:
            cells = own[block.name] if own and block.item in allowed else np.zeros(block.size)
            found[f"{sample}/{block.name}"] = cells.astype(np.int64).reshape(-1)
        absent = [not own or item not in allowed for item in ITEMS]
        found[f"{sample}/{WITHHELD}"] = np.array(absent, dtype=np.int64)
    return found


def _sample(table: Table, rules: _Rules) -> dict[str, NDArray[np.generic]]:
    schema, minimum, n = rules.schema, rules.minimum, len(table)
    labels = np.bincount(table.y, minlength=len(schema.classes)) if schema.classes else None
    parts = [_variable(v, table, rules) for v in variables(schema)]
    found: dict[str, NDArray[np.generic]] = {
        name: np.concatenate([np.atleast_1d(p[name]) for p in parts if name in p] or [np.zeros(0)])
        for name in dict.fromkeys(key for part in parts for key in part)
    }
    found["rows"] = np.array([n])
    repeated = n - len(
        np.unique(np.column_stack([np.nan_to_num(table.x, nan=-1e300), table.y]), axis=0)
    )
    found["duplicates"] = suppress(np.array([repeated]), minimum)[0]
    if labels is not None:
        shown, is_hidden = suppress(labels, minimum)
        shares = [_share(int(c), n, minimum) for c in labels]
        found["labels"], found["hidden_labels"] = shown, np.array([is_hidden])
        found["spread_label"] = _spread(shares)
    found["spread_missing"] = _spread([float(s) for s in found.pop("share_missing")])
    if "share_mean" in found:
        means = found.pop("share_mean")
        known = ~np.isnan(means.astype(np.float64))
        both = _spread([float(m) if k else 0.0 for m, k in zip(means, known, strict=True)])
        found["spread_mean"] = np.concatenate([both, known.astype(np.int64)])
    return found


def _share(count: int, rows: int, minimum: int) -> float:
    """A share that no small cell can be told from."""
    return min(1.0, coarse(count, minimum) / max(coarse(rows, minimum), 1))


def _spread(shares: list[float]) -> Cells:
    """Σ over sites of these and of their squares, [2·V] steps: the mean and sd over sites."""
    values = np.array(shares, dtype=np.float64)
    steps: Cells = np.rint(np.concatenate([values, values**2]) * SHARE_STEPS).astype(np.int64)
    return steps


def _variable(variable: Variable, table: Table, rules: _Rules) -> dict[str, NDArray[np.generic]]:
    values, coded = values_of(variable, table, rules.schema)
    n, minimum = len(values), rules.minimum
    is_present = ~np.isnan(values)
    missing = n - int(is_present.sum())
    (shown, present), is_hidden = suppress(np.array([missing, n - missing]), minimum)
    if is_hidden and n - missing >= minimum:
        shown, present = 0, n  # as if it were complete: the total tells nothing
    elif is_hidden:
        shown, present = n, 0  # and as if it were empty
    found: dict[str, NDArray[np.generic]] = {
        "missing": np.array([shown]),
        "coded": suppress(np.array([min(coded, int(shown))]), minimum)[0],
        "absent": np.array([missing == n]),
        "share_missing": np.array([_share(missing, n, minimum)]),
    }
    if variable.categories:
        more = _categories(variable, values, table, (int(present), rules))
    elif variable.bounds is not None:
        more = _numbers(variable, values, table, (int(present), rules))
    else:
        more = {}
    is_hidden = is_hidden or bool(more.pop("is_hidden", np.array([False]))[0])
    return found | more | {"hidden": np.array([is_hidden])}


def _numbers(
    variable: Variable, values: NDArray[np.float64], table: Table, rest: tuple[int, _Rules]
) -> dict[str, NDArray[np.generic]]:
    """Of a variable with a range; values outside it are counted, and left out of all else."""
    (present, rules), bounds = rest, variable.bounds
    low, high = bounds if bounds else (0.0, 1.0)
    sides = np.array([(values < low).sum(), (values > high).sum()])
    outside, is_hidden = suppress(sides, rules.minimum)
    inside = (values >= low) & (values <= high)
    u = (values[inside] - low) / (high - low)
    total = max(0, present - int(outside.sum())) if len(u) else 0
    cells = np.bincount(
        np.minimum((u * rules.bins).astype(np.int64), rules.bins - 1), minlength=rules.bins
    )
    histogram, is_cut = suppress(with_total(cells, total), rules.minimum)
    scale = total / max(1, len(u))
    found: dict[str, NDArray[np.generic]] = {
        "outside": outside,
        "present": np.array([total]),
        "sum": np.rint(np.array([u.sum() * scale]) * STEPS),
        "square": np.rint(np.array([(u**2).sum() * scale]) * STEPS),
        "histogram": histogram,
        "share_mean": np.array([u.mean() if total else np.nan]),
        "is_hidden": np.array([is_hidden or is_cut]),
    }
    classes = len(rules.schema.classes)
    if classes == 0:
        target = rules.schema.target
        t = (table.y[inside] - target.center) / (16 * target.scale) + 0.5 if target else u
        found["target_product"] = np.rint(np.array([(u * np.clip(t, 0, 1)).sum() * scale]) * STEPS)
        return found
    y = table.y[inside]
    counted = np.bincount(y, minlength=classes)
    shown, _ = suppress(with_total(counted, total), rules.minimum)
    mean = np.bincount(y, weights=u, minlength=classes) / np.maximum(counted, 1)
    return found | {"class_present": shown, "class_sum": np.rint(mean * shown * STEPS)}


def _categories(
    variable: Variable, values: NDArray[np.float64], table: Table, rest: tuple[int, _Rules]
) -> dict[str, NDArray[np.generic]]:
    present, rules = rest
    known = np.array(variable.categories)
    cells = np.array([int((values == category).sum()) for category in known])
    unknown = int((~np.isnan(values)).sum()) - int(cells.sum())
    shown, is_hidden = suppress(with_total(np.append(cells, unknown), present), rules.minimum)
    found: dict[str, NDArray[np.generic]] = {
        "category": shown[:-1],
        "unknown": shown[-1:],
        "is_hidden": np.array([is_hidden]),
    }
    classes = len(rules.schema.classes)
    if classes:
        table_of = np.array(
            [np.bincount(table.y[values == c], minlength=classes) for c in known]
        ).reshape(-1)
        found["class_category"] = suppress(table_of, rules.minimum)[0]
    return found
