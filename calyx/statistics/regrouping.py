"""Of numbers, rows of small groups are counted in another group, before anything is counted.

A numeric variable's rows are present, missing, below or above its range. A group of fewer rows than the
minimum would be told by the sizes of the others, so that its rows join one that is large enough.
Everything else is then counted of one table that some other client could well have: no total of it
contradicts another, and none is an odd multiple that would give the small group's size away.

Shapes: N rows.
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
    """A variable's values [N] as they are counted, and whether any row changed its group."""

    values: Values  # NaN where missing
    is_changed: bool


def regroup(
    values: Values, bounds: tuple[float, float] | None, labels: NDArray[np.int64], minimum: int
) -> Regrouped:
    """The rows of small groups join the first that is large enough: present, missing, below, above.

    Rows that become present get values of other rows of their class, evenly spaced in their order:
    so mean, spread and association hardly move. Where no group is large, all are missing.
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
        return Regrouped(changed, is_changed=True)
    present = groups == PRESENT
    for label in np.unique(labels[moved]):
        own = values[present & (labels == label)]
        # Sums over a few rows would be those rows': then all classes' values stand for them.
        donors = own if len(own) >= minimum else values[present]
        rows = np.flatnonzero(moved & (labels == label))
        places = (np.arange(len(rows)) + 0.5) / len(rows) * len(donors)
        changed[rows] = np.sort(donors)[places.astype(np.int64)]
    return Regrouped(changed, is_changed=True)


def is_few_valued(values: Values) -> bool:
    """Whether a column is of so few different values that its sums are as good as its counts."""
    return len(np.unique(values)) <= FEW


def without_rare_values(values: Values, minimum: int) -> Regrouped:
    """A few-valued column [N] without missing ones, whose rare values became the nearest common one.

    Σx and Σx² of a column of zeros and three ones say "three"; with a histogram beside them they can
    be solved for two or three rare values of any column of few. Others are left as they are.
    """
    distinct, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    is_rare = counts < minimum
    if len(distinct) == 0 or len(distinct) > FEW or not is_rare.any():
        return Regrouped(values, is_changed=False)
    common = distinct[~is_rare] if not is_rare.all() else distinct[[counts.argmax()]]
    nearest = common[np.abs(distinct[:, None] - common[None, :]).argmin(axis=1)]
    return Regrouped(nearest[places], is_changed=True)


def _groups(values: Values, bounds: tuple[float, float] | None) -> NDArray[np.int64]:
    low, high = bounds if bounds else (-np.inf, np.inf)
    conditions = [np.isnan(values), values < low, values > high]
    return np.select(conditions, [MISSING, BELOW, ABOVE], PRESENT).astype(np.int64)
