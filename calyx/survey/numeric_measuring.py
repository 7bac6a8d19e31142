"""What one client's rows add to the sums of a numeric variable. Small cells are hidden here.

Sums are exact, also where the declared range is far wider than the values. What is changed so that
no small number of rows is told is bounded, and the bounds are added up as well.
Shapes: N rows, K classes; [K] and [N, …] as in `measuring`.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from calyx.survey.blocks import MEAN_STEPS
from calyx.survey.moments import STEPS, Bounds, power_sums, product_sums, share_place, unit
from calyx.survey.places import group, tables
from calyx.survey.regrouping import Regrouped, is_few_valued, without_rare_values
from calyx.survey.suppression import suppress_crossed
from calyx.vector.exact import steps

Values = NDArray[np.float64]
Cells = NDArray[np.int64]
Mask = NDArray[np.bool_]
FEW_VALUES = 3  # of which a mean is as good as a share
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Beside:
    """What stands beside a numeric variable's values: the rows' labels or target, and the rules."""

    y: Values  # [N] classes, or a regression's target
    labels: Cells  # [K]; one "class" of a regression
    is_shown: NDArray[np.bool_]  # [K] whether others see a class's rows
    target: Bounds | None  # of a regression
    minimum: int  # rows that a number stands for at least
    columns: int  # numeric ones of the schema


def measure_numbers(bounds: Bounds, counted: Regrouped, beside: Beside) -> Arrays:
    """All cells of one variable; values outside its range are counted, and in nothing else."""
    low, high = bounds
    inside = (counted.values >= low) & (counted.values <= high)
    values = counted.values[inside]
    common = without_rare_values(values, beside.minimum)
    total, square = power_sums(common.values, bounds)
    cells = group(values, bounds, beside.minimum)
    size = Fraction(2) ** (2 * unit(bounds))
    sums: Arrays = {
        "outside": np.array([(counted.values < low).sum(), (counted.values > high).sum()]),
        "present": np.array([len(values)]),
        "sum": wide(total),
        "square": wide(square),
        "moved": np.array([counted.joined, counted.left, common.rows]),
        "joined_share": share_place(counted.share),
        "change": wide(steps(Fraction(common.change) / size, 2 * STEPS)),
        "cells": tables(cells, beside.columns).reshape(-1),
        "open": np.array([*cells.open, counted.joined, counted.left]),
        "is_hidden": np.array([common.rows > 0]),
        "shown_moments": np.array([len(values) > 0]),
        "few_valued": np.array([1 < len(np.unique(common.values)) <= FEW_VALUES]),
        "shown_histogram": np.array([len(cells.rows) > 0]),
        "mean": (mean := wide(*_mean_steps(len(values), total, bounds))),
        "share_mean": np.array([mean[0] / 2**MEAN_STEPS if mean[2] else np.nan]),
    }
    if beside.target is not None:
        return sums | _with_target(common.values, inside, bounds, beside)
    return sums | _by_class(common.values, inside, np.isnan(counted.values), bounds, beside)


def wide(*values: int) -> NDArray[np.object_]:
    """Python's integers as cells."""
    return np.array(values, dtype=object)


def _mean_steps(count: int, total: int, bounds: Bounds) -> tuple[int, int, int]:
    """The mean as a share of the declared range, its square, and 1; zeros without values."""
    if count == 0:
        return 0, 0, 0
    width = Fraction(bounds[1]) - Fraction(bounds[0])
    share = Fraction(total, count << STEPS) * Fraction(2) ** unit(bounds) / width
    mean = min(steps(share, MEAN_STEPS), 1 << MEAN_STEPS)
    return mean, mean**2, 1


def _by_class(
    values: Values, inside: Mask, missing: Mask, bounds: Bounds, beside: Beside
) -> Arrays:
    """Rows and sums by class, of the classes in which no small number of rows can be told.

    Rows `inside` [N] have a value within the range, and those `missing` [N] none at all.
    """
    y, k = beside.y[inside].astype(np.int64), len(beside.labels)
    holes = np.bincount(beside.y[missing].astype(np.int64), minlength=k)
    counted = np.bincount(y, minlength=k)
    marked = mark(counted, holes, beside)
    shown = marked.present
    if is_few_valued(values) and _has_small_crossing(values, y, beside.minimum):
        shown = np.zeros_like(shown)  # a class's sum would tell how often it has a value
    sums = [power_sums(values[y == c] if shown[c] else values[:0], bounds) for c in range(k)]
    return {
        "class_missing": marked.missing,
        "class_total": marked.total,
        "class_present": shown,
        "class_sum": wide(*(total for total, _ in sums)),
        "class_square": wide(sum(square for _, square in sums)),
        "tells": np.array([shown.any()]),
    }


def _has_small_crossing(values: Values, y: Cells | Values, minimum: int, *more: Cells) -> bool:
    """Whether some value stands in some class, but in fewer rows than the minimum."""
    counts = np.unique(np.column_stack([values, y, *more]), axis=0, return_counts=True)[1]
    return bool((counts < minimum).any())


def _with_target(
    values: Values, inside: NDArray[np.bool_], bounds: Bounds, beside: Beside
) -> Arrays:
    """Sums over the rows that have both the column and the target within their ranges.

    Nothing where the rows that lack the target are few: the difference of two sums would tell them.
    Neither where one of both has few different values, of which these rows, or the others, have
    some rarely: the sums would tell how often.
    """
    target = beside.target or (0.0, 1.0)
    t = beside.y[inside]
    both = (t >= target[0]) & (t <= target[1])
    count, lacking = int(both.sum()), int((~both).sum())
    is_small = count < beside.minimum or 0 < lacking < beside.minimum
    if is_small or _tells_rare_pairs(values, both, inside, target, beside):
        count, both = 0, np.zeros_like(both)
    first, second, square, other, product = product_sums(values[both], t[both], (bounds, target))
    return {
        "pairs": np.array([count]),
        "pair_sums": wide(first, second),
        "pair_squares": wide(square, other, product),
        "tells": np.array([count > 0]),
    }


def _tells_rare_pairs(
    values: Values, both: Mask, inside: Mask, target: Bounds, beside: Beside
) -> bool:
    """Whether sums over the rows with `both` [M] of `values` [M] tell how often a rare value stands."""
    y, is_paired = beside.y, np.zeros(len(beside.y), dtype=np.bool_)
    is_paired[np.flatnonzero(inside)[both]] = True
    # A column of many values is one group: its sums tell no counts.
    x = values if is_few_valued(values) else np.zeros_like(values)
    t = y if is_few_valued(y[is_paired]) else np.zeros_like(y)
    in_pairs = np.where(both, t[inside], 0.0)
    others = (y >= target[0]) & (y <= target[1])
    return _has_small_crossing(
        x, in_pairs, beside.minimum, both.astype(np.int64)
    ) or _has_small_crossing(t[others], is_paired[others].astype(np.int64), beside.minimum)


@dataclass(frozen=True)
class Marked:
    """What may be shown, 0 where it may not."""

    present: Cells  # [K] rows that have a value within its range
    missing: Cells  # [K] rows that have none
    total: Cells  # [K] all rows, where `missing` is known


def mark(present: Cells, missing: Cells, beside: Beside) -> Marked:
    """Rows [K] with and without a value, as far as they may be shown.

    Both together where no small number follows from both; else those with a value alone.
    """
    labels, is_shown, all_groups = beside.labels, beside.is_shown, np.ones(2, dtype=np.bool_)
    both = np.stack([missing, present])
    if missing.any():
        shown = suppress_crossed(both, labels, all_groups, is_shown, beside.minimum)
        if shown[0].any():
            # A class in which nothing is shown may have been hidden.
            return Marked(shown[1], shown[0], np.where(shown.any(axis=0), labels, 0))
    alone = suppress_crossed(present[None], labels, all_groups[:1], is_shown, beside.minimum)[0]
    total = np.zeros_like(labels) if missing.any() else np.where(is_shown, labels, 0)
    return Marked(alone, np.zeros_like(missing), total)
