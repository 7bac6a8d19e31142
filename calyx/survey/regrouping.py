"""Rows of small groups of numbers are moved to another group, before anything is counted.

A numeric variable's rows are present, missing, below or above its range. A group of fewer rows than the
minimum would be told by the sizes of the others, so that its rows join one that is large enough.
Everything else is then counted of one table that some other client could well have: no total of it
contradicts another, and none is an odd multiple that would give the small group's size away.

Shapes: N rows.

See docs/decisions/0025.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
PRESENT, MISSING, BELOW, ABOVE = range(4)
_INSTEAD = {MISSING: np.nan, BELOW: -np.inf, ABOVE: np.inf}
FEW = 12  # different values of a column, up to which sums of them tell how often each stands


@dataclass(frozen=True)
class Regrouped:
    """A variable's values [N] as they are counted, and how many rows at most changed their group.

    The exact number of these rows is a small one, and stays at the site.
    """

    values: Values  # NaN where missing
    is_changed: bool
    joined: int = 0  # rows that count as present, and have no value within the range
    share: float = 0.0  # of the real values' Σ(x − c)², which those have at most, for any c
    left: int = 0  # rows that have a value, and are counted in a group without one


def regroup(values: Values, bounds: tuple[float, float] | None, minimum: int) -> Regrouped:
    """The rows of small groups join the first that is large enough: present, missing, below, above.

    Rows that become present get values from the middle of the sorted ones: as at least nearly half
    of these lie farther from any given point, mean and spread move by a known share at most. Where
    no group is large, all are missing.
    """
    groups = _groups(values, bounds)
    sizes = np.bincount(groups, minlength=len(_INSTEAD) + 1)
    small = (sizes > 0) & (sizes < minimum)
    if not small.any():
        return Regrouped(values, is_changed=False)
    large = np.flatnonzero(sizes >= minimum)
    target, moved = int(large[0]) if len(large) else MISSING, small[groups]
    changed = values.copy()
    if target != PRESENT:
        changed[moved] = _INSTEAD[target]
        # What was below or above is counted as missing now, too.
        left = int(np.delete(small, target).sum()) * (minimum - 1)
        return Regrouped(changed, is_changed=True, left=left)
    donors, count = np.sort(values[groups == PRESENT]), int(moved.sum())
    changed[moved] = np.resize(donors[max(0, (len(donors) - count) // 2) :], count)
    joined = int(small.sum()) * (minimum - 1)
    # Of how many rows count as present, which is told: of the exact number of donors a bound would
    # tell how many joined.
    fewest = max(minimum, len(donors) + count - joined)
    beyond = (fewest - joined) // 2  # donors farther from any point than one of the middle
    share = joined / beyond if 2 * beyond > joined else float(-(-joined // fewest))
    return Regrouped(changed, is_changed=True, joined=joined, share=share)


def is_few_valued(values: Values) -> bool:
    """Whether a column is of so few different values that its sums are as good as its counts."""
    return len(np.unique(values)) <= FEW


@dataclass(frozen=True)
class Smoothed:
    """A column's values [N] of which the rare ones became common, and how much that is at most."""

    values: Values
    rows: int = 0  # that have another value now
    change: float = 0.0  # Σ of the squares of the changes, in the column's unit


def without_rare_values(values: Values, minimum: int) -> Smoothed:
    """A few-valued column [N] without missing ones, whose rare values became the nearest common one.

    Σx and Σx² of a column of zeros and three ones say "three"; with a histogram beside them they can
    be solved for two or three rare values of any column of few. Others are left as they are. What it
    changes is bounded by the number of rare values, and by their distances from the common ones.
    """
    distinct, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    is_rare = counts < minimum
    if len(distinct) == 0 or len(distinct) > FEW or not is_rare.any():
        return Smoothed(values)
    common = distinct[~is_rare] if not is_rare.all() else distinct[[counts.argmax()]]
    distances = np.abs(distinct[:, None] - common[None, :])
    nearest = common[distances.argmin(axis=1)]
    rows = int(is_rare.sum()) * (minimum - 1)
    # To a power of two: the distances themselves would tell values that one row may have.
    total = (minimum - 1) * float((distances.min(axis=1) ** 2).sum())
    return Smoothed(nearest[places], rows, 2.0 ** int(np.frexp(total)[1]))


def _groups(values: Values, bounds: tuple[float, float] | None) -> NDArray[np.int64]:
    low, high = bounds if bounds else (-np.inf, np.inf)
    conditions = [np.isnan(values), values < low, values > high]
    return np.select(conditions, [MISSING, BELOW, ABOVE], PRESENT).astype(np.int64)
