"""What holes and categories tell of a regression's target: η of its sums by group, over all sites.

The sums are those of `target_sums`, which a site tells only where they show no small number of rows.
"""

from collections.abc import Mapping
from fractions import Fraction

from calyx.findings.label_association import Association, absent
from calyx.survey.blocks import Cells
from calyx.vector.exact import root


def mark_tells(cells: Mapping[str, Cells], i: int) -> Association:
    """|r| of the mark "is missing" with the target, of the variable at place `i`."""
    whole, missing = cells["target_whole"][i], cells["target_missing"][i]
    reason = _find_lacking(cells, i)
    if reason:
        return absent(reason)
    if missing[0] == 0:
        return absent("no value is missing")
    return _eta([missing, whole - missing])


def categories_tell_target(cells: Mapping[str, Cells], i: int, where: slice) -> Association:
    """η of the target by the categories at the places `where` of all."""
    groups = list(cells["target_category"][where])
    reason = _find_lacking(cells, i)
    if reason:
        return absent(reason)
    present = cells["target_whole"][i] - cells["target_missing"][i]
    return _eta([*groups, present - sum(groups)])


def _find_lacking(cells: Mapping[str, Cells], i: int) -> str | None:
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
