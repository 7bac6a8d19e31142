"""Small cells do not leave a client: what is counted of fewer rows than a minimum is hidden.

Where a total is known, hiding one cell would be in vain: the rest tells it. So the rows of all
hidden cells of a table are as many as the minimum, or none. Source: complementary suppression,
Hundepool et al. 2012, Statistical Disclosure Control, §4.2; here within one client's table.

Shapes: J groups of rows, K classes.

See docs/decisions/0025.
"""

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.int64]
Mask = NDArray[np.bool_]


def suppress(cells: Cells, minimum: int) -> tuple[Cells, bool]:
    """`cells` [N] with small ones as 0, and whether any was hidden. `minimum` ≥ 1; 1 hides nothing."""
    hidden = _is_small(cells, minimum)
    if not hidden.any():
        return cells, False
    if cells[hidden].sum() < minimum:
        others = np.where(hidden | (cells == 0), np.iinfo(np.int64).max, cells)
        if others.min() < np.iinfo(np.int64).max:
            hidden = hidden.copy()
            hidden[others.argmin()] = True
    return np.where(hidden, 0, cells), True


def suppress_part(part: int, total: int, minimum: int) -> int:
    """How many of `total` rows, themselves 0 or not small, are said to be in a part of them.

    All or none where the part or the rest of it is small.
    """
    if _is_small(np.array([part]), minimum).any():
        return 0
    return total if 0 < total - part < minimum else part


def suppress_crossed(
    table: Cells, labels: Cells, groups: Mask, classes: Mask, minimum: int
) -> Cells:
    """`table` [J, K] of rows by group and class, 0 where a small number of rows could be told.

    `labels` [K] are the classes of all rows, also of those in none of the groups. `groups` [J] and
    `classes` [K] are those of which the totals are known; the rows of all other classes together
    follow from the rest. Shown are whole groups, in some of the classes: each cell, what is left
    of a group, and what is left of each class is 0 or not small. What is left of both is then a
    table of which others know nothing but totals.

    Nothing is shown where all but one group, or all but one class of one group, had to be hidden:
    added to other clients' parts, it would make a difference between clients look like one
    between groups.
    """
    groups, classes = groups & table.any(axis=1), classes.copy()
    while classes.any():
        shown = _safe_groups(table, labels, groups, classes, minimum)
        if shown.any():
            kept: Cells = np.where(np.outer(shown, classes), table, 0)
            axis = 0 if len(table) == 1 else 1
            is_whole = (kept == table).all()
            is_telling = is_whole or kept.any(axis=axis).sum() > 1
            return kept if is_telling else np.zeros_like(table)
        cells = np.vstack([table[groups], labels - table[groups].sum(axis=0)])
        most = np.iinfo(np.int64).max
        least = np.where(cells > 0, cells, most).min(axis=0)
        # The class that shows the least joins those that are hidden.
        left = np.flatnonzero(classes)
        classes[left[least[left].argmin()]] = False
    return np.zeros_like(table)


def _safe_groups(table: Cells, labels: Cells, groups: Mask, classes: Mask, minimum: int) -> Mask:
    """Which of the `groups` [J] can be shown in all of the `classes` [K]."""

    def merge(cells: Cells) -> Cells:
        rest = cells[..., ~classes].sum(axis=-1, keepdims=True)
        return np.concatenate([cells[..., classes], rest], axis=-1)

    parts, total = merge(table), merge(labels)
    shown = groups & ~_is_small(parts, minimum).any(axis=1)
    sizes = parts.sum(axis=1)
    while shown.any() and _is_small(total - parts[shown].sum(axis=0), minimum).any():
        shown[np.where(shown, sizes, np.iinfo(np.int64).max).argmin()] = False
    return shown


def _is_small(cells: Cells, minimum: int) -> Mask:
    return np.asarray((cells > 0) & (cells < minimum))


def coarse(count: float, minimum: int) -> int:
    """`count` rounded to a multiple of `minimum`: what a share may be made of."""
    return round(count / minimum) * minimum


def coarse_shares(cells: Cells, minimum: int) -> NDArray[np.float64]:
    """The shares of `cells` [N] in their sum, as far as `suppress` lets the cells be known.

    A small cell counts as half the minimum, and what was hidden to protect it as the rest of the
    hidden rows; where several small cells leave no rest, as nothing.
    """
    shown, _ = suppress(cells, minimum)
    small, hidden = _is_small(cells, minimum), cells != shown
    counts = np.where(small, minimum / 2, shown)
    counts[hidden & ~small] = max(0.0, cells[hidden].sum() - counts[small].sum())
    known = [
        count if is_small else coarse(count, minimum)
        for count, is_small in zip(counts, small, strict=True)
    ]
    return np.minimum(1.0, np.array(known) / max(coarse(int(cells.sum()), minimum), 1))
