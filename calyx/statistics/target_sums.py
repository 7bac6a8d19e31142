"""What holes and categories tell of a regression's target: sums of the target by group, and their η.

A site tells them of a variable where none of its rows is hidden and no target lies outside its reach:
else the difference of two counts would be a small number of rows. Shapes: N rows, J categories, V
variables.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calyx.statistics.blocks import STEPS, TARGET_LINES, Cells
from calyx.statistics.label_association import Association, absent

Arrays = dict[str, NDArray[np.generic]]
FEW = 12  # different values of a target, up to which its sums tell how often each stands
_LEAST_SD = 2.0**-9  # of t; below, a fixed-point step could be seen in the figure


def target_sums(t: NDArray[np.float64], groups: Cells, count: int) -> Arrays:
    """Sums of a target t [N] in 0 … 1 by `groups` [N]: 0 is missing, 1 … `count` the categories."""
    lines = [np.bincount(groups, weights=w, minlength=count + 1) for w in (t * 0 + 1, t, t**2)]
    scaled = np.stack([lines[0], *(line * STEPS for line in lines[1:])])
    steps = np.rint(scaled).astype(np.int64)
    return {
        "target_all": steps.sum(axis=1),
        "target_missing": steps[:, 0],
        "target_category": steps[:, 1 : count + 1].T.reshape(-1),
    }


def no_target_sums(count: int) -> Arrays:
    """Of a site that does not tell."""
    blank = np.zeros(TARGET_LINES, dtype=np.int64)
    return {
        "target_all": blank,
        "target_missing": blank,
        "target_category": np.zeros(TARGET_LINES * count, dtype=np.int64),
    }


def is_safe(t: NDArray[np.float64]) -> bool:
    """Whether sums of the target tell no counts of rows: it is within its reach, and of many values."""
    return len(t) > 0 and bool((t >= 0).all() and (t <= 1).all()) and len(np.unique(t)) > FEW


def mark_tells(cells: Mapping[str, Cells], i: int) -> Association:
    """|r| of the mark "is missing" with the target, of the variable at place `i`."""
    whole, missing = cells["target_all"][i], cells["target_missing"][i]
    reason = _lacking(cells, i)
    if reason:
        return absent(reason)
    if missing[0] == 0:
        return absent("no value is missing")
    return _eta([missing, whole - missing])


def categories_tell_target(cells: Mapping[str, Cells], i: int, where: slice) -> Association:
    """η of the target by the categories at the places `where` of all."""
    groups = list(cells["target_category"][where])
    reason = _lacking(cells, i)
    if reason:
        return absent(reason)
    present = cells["target_all"][i] - cells["target_missing"][i]
    return _eta([*groups, present - sum(groups)])


def _lacking(cells: Mapping[str, Cells], i: int) -> str | None:
    unseen = int(cells["rows"][0]) - int(cells["target_all"][i][0])
    if unseen == 0:
        return None
    return (
        f"{unseen} rows are of sites that hide some rows of it, or whose target has values beyond its "
        "reach or few different ones"
    )


def _eta(groups: list[Cells]) -> Association:
    """The correlation ratio; of two groups it is |r|. Each is rows, Σt and Σt² in steps."""
    used = np.array([g for g in groups if g[0] > 0], dtype=np.float64)
    if len(used) < 2:
        return absent("all rows have one value, which tells nothing")
    rows, sums = used[:, 0], used[:, 1] / STEPS
    mean = sums.sum() / rows.sum()
    total = used[:, 2].sum() / STEPS / rows.sum() - mean**2
    if total < _LEAST_SD**2:
        return absent("the target varies too little within its declared scale")
    between = float((rows * (sums / rows - mean) ** 2).sum() / rows.sum())
    chance = ((len(used) - 1) / max(1.0, rows.sum() - 1)) ** 0.5
    return Association(min(1.0, (between / total) ** 0.5), 0.0, float(min(1.0, chance)))
