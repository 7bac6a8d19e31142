"""Categories of one client's rows. Of rare ones a site tells how many rows they have together.

Hidden rows are of an unknown category, or have none: nothing is counted in place of them. A rare
category alone would be told by the totals, so that rows of large groups are hidden with it until
there are `minimum` of them, in each class. All that is sent are counts of that one table.

Shapes: N rows, J categories, K classes, G = J + 2 groups: missing, each category, undeclared.

See docs/decisions/0032.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.survey.spread import Shares, shares_of
from calyx.survey.suppression import coarse, suppress_crossed, suppress_part
from calyx.survey.variables import Values, Variable

Cells = NDArray[np.int64]
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Classes:
    """The classes of a sample's rows, as far as others see them; one class of a regression."""

    of_rows: Cells  # [N]
    counts: Cells  # [K]
    is_shown: NDArray[np.bool_]  # [K]

    def cross(self, groups: Cells, count: int) -> Cells:
        """Rows [count, K] by group and class; `groups` [N] are the rows' places 0 … count − 1."""
        k = len(self.counts)
        flat = np.bincount(groups * k + self.of_rows, minlength=count * k)
        return flat.reshape(count, k).astype(np.int64)

    def merge(self, table: Cells) -> Cells:
        """`table` [… K] with all classes that are not shown as one, the last."""
        rest = table[..., ~self.is_shown].sum(axis=-1, keepdims=True)
        return np.concatenate([table[..., self.is_shown], rest], axis=-1)


def hide(table: Cells, minimum: int) -> tuple[Cells, Cells]:
    """`table` [G, K] without small groups, and the rows [K] that were hidden: 0 or `minimum` a class.

    Where a class has fewer hidden rows, the largest groups of that class give as many as are
    lacking; a group that becomes small by it is hidden as well. A class of fewer than `minimum`
    rows gives all it has.
    """
    shown, hidden = table.copy(), np.zeros(table.shape[1], dtype=np.int64)
    while True:
        sizes = shown.sum(axis=1)
        small = (sizes > 0) & (sizes < minimum)
        hidden += shown[small].sum(axis=0)
        shown[small] = 0
        lacking = np.where(hidden > 0, np.maximum(minimum - hidden, 0), 0)
        lacking = np.minimum(lacking, shown.sum(axis=0))
        if not small.any() and not lacking.any():
            return shown, hidden
        for k in np.flatnonzero(lacking):
            left = int(lacking[k])
            while left:
                donor = int(shown[:, k].argmax())
                taken = min(left, int(shown[donor, k]))
                shown[donor, k] -= taken
                hidden[k] += taken
                left -= taken


def measure_categories(
    variable: Variable, raw: Values, coded: int, classes: Classes, minimum: int
) -> Arrays:
    """All cells of a categorical variable; `coded` of its values are a code for "missing"."""
    known, n = variable.categories, len(raw)
    groups = np.full(n, len(known) + 1)
    for place, category in enumerate(known):
        groups[raw == category] = place + 1
    groups[np.isnan(raw)] = 0
    true = classes.cross(groups, len(known) + 2)
    shown, hidden = hide(classes.merge(true), minimum)
    sizes, unseen = shown.sum(axis=1), int(hidden.sum())
    missing, counts = int(sizes[0]), sizes[1:-1]
    present = n - missing
    holes = shares_of(np.array([missing, present - unseen]), minimum, unseen)
    cells: Arrays = {
        "missing": sizes[:1],
        "coded": np.array([suppress_part(min(coded, missing), missing, minimum)]),
        "absent": np.array([np.isnan(raw).all()]),
        "share_missing": holes.values[:1],
        "margin_missing": holes.margins[:1],
        "category": counts,
        "unknown": sizes[-1:],
        "hidden_rows": np.array([unseen]),
        "shown_categories": np.array([sizes[1:].any()]),
        "hidden": np.array([unseen > 0]),
    }
    shares = _shares(counts, present, unseen, minimum)
    cells |= {"share_category": shares.values, "margin_category": shares.margins}
    cells["rows_category"] = shares.rows
    return cells | _by_class(shown, unseen, classes, minimum)


def _shares(counts: Cells, present: int, unseen: int, minimum: int) -> Shares:
    """The share of each category in the rows that have a value, of which `unseen` may be of any category."""
    total = coarse(present, minimum)
    values = np.array([coarse(int(c), minimum) for c in counts]) / max(total, 1)
    margin = (unseen + (minimum if minimum > 1 else 0)) / max(total, 1)
    size = len(counts)
    return Shares(
        np.minimum(values, 1.0), np.full(size, margin), np.full(size, float(total)), minimum
    )


def _by_class(shown: Cells, unseen: int, classes: Classes, minimum: int) -> Arrays:
    """Rows by group and class, as far as no small number follows; `shown` is merged, [G, K + 1]."""
    rows = shown[:-1]
    labels, k = classes.merge(classes.counts), len(classes.counts)
    is_told = np.arange(shown.shape[1]) < shown.shape[1] - 1  # all classes but the merged ones
    groups = np.asarray(rows.any(axis=1), dtype=np.bool_)
    crossed = np.zeros((len(rows), k), dtype=np.int64)
    shown_rows = suppress_crossed(rows, labels, groups, is_told, minimum)
    crossed[:, classes.is_shown] = shown_rows[:, :-1]
    missing, table = crossed[0], crossed[1:]
    is_whole = table.sum() == shown[1:].sum() and unseen == 0
    if not is_whole and table.any(axis=1).sum() < 2:
        table = np.zeros_like(table)  # of one group alone: it would compare clients, and not groups
    if missing.any():
        is_known = crossed.any(axis=0)  # a class in which nothing is shown may have been hidden
    else:
        is_known = classes.is_shown & (rows[0].sum() == 0 and unseen == 0)
    total = np.where(is_known, classes.counts, 0)
    return {
        "class_category": table.reshape(-1),
        "class_missing": missing,
        "class_total": total,
        "shown_correlation": np.array([table.any()]),
        "shown_marks": np.array([total.any()]),
    }
