"""What holes and categories tell of a regression's target: sums of the target by group, and their η.

A site tells them of a variable where none of its rows is hidden and no target lies outside its reach:
else the difference of two counts would be a small number of rows. Shapes: N rows, J categories, V
variables.
"""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from calyx.exact import root
from calyx.statistics.blocks import Cells
from calyx.statistics.label_association import Association, absent
from calyx.statistics.moments import Bounds, power_sums

Values = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]
FEW = 12  # different values of a target, up to which its sums tell how often each stands


def target_sums(y: Values, groups: Cells, of: tuple[int, Bounds]) -> Arrays:
    """Of a target y [N] its rows, Σ and Σ of squares, as they are told, by `groups` [N].

    0 is missing, 1 … J are the categories, J + 1 is what is none of them, and a row of -1 is in no
    sum. `of` is J, and the target's bounds.
    """
    count, bounds = of
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


def mark_tells(cells: Mapping[str, Cells], i: int) -> Association:
    """|r| of the mark "is missing" with the target, of the variable at place `i`."""
    whole, missing = cells["target_whole"][i], cells["target_missing"][i]
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
    present = cells["target_whole"][i] - cells["target_missing"][i]
    return _eta([*groups, present - sum(groups)])


def _lacking(cells: Mapping[str, Cells], i: int) -> str | None:
    unseen = int(cells["rows"][0]) - int(cells["target_whole"][i][0])
    if unseen == 0:
        return None
    return (
        f"{unseen} rows are of sites that hide some rows of it, or whose target has values beyond its "
        "reach or few different ones"
    )


def _eta(groups: list[Cells]) -> Association:
    """The correlation ratio; of two groups it is |r|. Each is rows, Σ and Σ of squares, in steps."""
    used = [[int(n) for n in group] for group in groups if group[0] > 0]
    if len(used) < 2:
        return absent("all rows have one value, which tells nothing")
    rows, total, square = (sum(line) for line in zip(*used, strict=True))
    whole = square - Fraction(total**2, rows)
    if whole <= 0:
        return absent("all targets are the same")
    between = sum(Fraction(s**2, n) for n, s, _ in used) - Fraction(total**2, rows)
    share = max(Fraction(0), between / whole)
    chance = ((len(used) - 1) / max(1.0, rows - 1)) ** 0.5
    return Association(min(1.0, root(share.numerator, share.denominator)), 0.0, min(1.0, chance))
