"""What a column tells of the class: Cramér's V, how far hidden rows may move it, and what chance gives.

Shapes: J groups (categories; or missing and not), K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from calyx.findings.single import LEAST
from calyx.survey.blocks import Cells
from calyx.vector.exact import root

Values = NDArray[np.float64]
NO_MARK = "models get no mark of it"
FEW_SITES = "fewer than two sites show rows by class"
WIDEST = 0.5  # margin, above which a figure between 0 and 1 says nothing


@dataclass(frozen=True)
class Association:
    """A figure in 0 … 1, or why there is none."""

    value: float | None
    margin: float = 0.0  # the figure of all rows is within value ± margin
    chance: float | None = None  # what it would be about, of a column that knows nothing
    reason: str | None = None  # of None

    @property
    def least(self) -> float:
        """What it is at least; 0 where nothing is known."""
        return 0.0 if self.value is None else max(0.0, self.value - self.margin)


def absent(reason: str) -> Association:
    """An association that is not told, and why."""
    return Association(None, reason=reason)


def cramer(table: Cells, unseen: int, most_groups: int) -> Association:
    """Cramér's V of rows [J, K], of which `unseen` more are of any of `most_groups` groups and any class.

    The value is of the rows in the table. Source: Cramér 1946, §21.9; what chance gives is
    Bergsma 2013, A bias-correction for Cramér's V and Tschuprow's T, eq. 4.
    """
    if unseen < 0:
        return absent("other sites tell rows by class than how many rows they have")
    used = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    if used.size == 0:
        return absent("rows by class are hidden, since they are few")
    if min(used.shape) < 2:
        if unseen:
            return absent("too many rows by class are hidden, since they are few")
        return absent("all rows have one value or one class, which tells nothing")
    rows, least = float(used.sum()), min(used.shape) - 1
    value = min(1.0, _phi(used) ** 0.5 / least**0.5)
    chance = ((used.shape[0] - 1) * (used.shape[1] - 1) / max(1.0, rows - 1) / least) ** 0.5
    if not unseen:
        return Association(value, 0.0, min(1.0, chance))
    low, high = _bounds(used, float(unseen), table.shape[1])
    most = max(1, min(most_groups, table.shape[1]) - 1)
    low, high = (low / most) ** 0.5, min(1.0, (high / least) ** 0.5)
    margin = max(high - value, value - low)
    if margin > WIDEST:
        return absent(
            f"of {unseen} rows class or category is hidden or undeclared: it could be anything from "
            f"{low:.2f} to {high:.2f}"
        )
    return Association(value, margin, min(1.0, chance))


def _phi(table: Values) -> float:
    """φ² = χ²/n. Rows and columns of the table are not empty."""
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    return max(0.0, float((table**2 / expected).sum()) - 1.0)


def _bounds(table: Values, unseen: float, classes: int) -> tuple[float, float]:
    """φ² of the table and `unseen` rows more, of any of `classes` classes, is within these.

    φ² + 1 = Σ_k (1/n_k) Σ_j n_jk²/n_j. The inner sum grows by at most the rows that come to class k
    (each in a group of its own), and shrinks most where they come to the groups that hold class k
    most purely.
    """
    sizes, totals = table.sum(axis=1), table.sum(axis=0)
    inner = (table**2 / sizes[:, None]).sum(axis=0)
    lowest = np.array([_least(part, sizes, unseen) for part in table.T])
    spare = classes - table.shape[1]  # classes that stand in no row of the table
    high = table.shape[1] + spare - _shared(totals - inner, totals, unseen) - 1
    return max(0.0, _shared(lowest, totals, unseen) - 1), min(high, classes - 1.0)


def _shared(parts: Values, sizes: Values, unseen: float) -> float:
    """The least Σ parts/(sizes + x) over x ≥ 0 of which the sum is `unseen`. `parts` ≥ 0."""
    used = parts > 0
    parts, sizes = parts[used], sizes[used]
    while len(parts):
        # At the least, parts/(sizes + x)² is the same wherever x > 0.
        roots = np.sqrt(parts)
        x = roots * (sizes.sum() + unseen) / roots.sum() - sizes
        if (x >= 0).all():
            return float((parts / (sizes + x)).sum())
        worst = x < 0
        rest = float((parts[worst] / sizes[worst]).sum())
        return rest + _shared(parts[~worst], sizes[~worst], unseen)
    return 0.0


def _least(part: Values, sizes: Values, unseen: float) -> float:
    """The least Σ part²/(sizes + x) over x ≥ 0 of which the sum is `unseen`.

    At the least all groups that get rows have one ratio part/(sizes + x): those with the highest.
    """
    order = np.argsort(-part / sizes)
    part, sizes = part[order], sizes[order]
    for count in range(1, len(part) + 1):
        ratio = part[:count].sum() / (sizes[:count].sum() + unseen)
        if count == len(part) or ratio >= part[count] / sizes[count]:
            rest = float((part[count:] ** 2 / sizes[count:]).sum())
            return float(part[:count].sum() ** 2 / (sizes[:count].sum() + unseen)) + rest
    return 0.0


def chance_of_numbers(rows: int, classes: int) -> float | None:
    """What a correlation ratio (of `classes` > 0) or |r| would be about, of a column that knows nothing."""
    freedom = max(1, classes - 1)
    return None if rows < 2 else float(min(1.0, (freedom / (rows - 1)) ** 0.5))


def categories_tell(cells: Mapping[str, Cells], where: slice, missing: int) -> Association:
    """Of the categories at the places `where` of all; `missing` rows have none."""
    table = cells["class_category"][where]
    unseen = int(cells["rows"][0]) - missing - int(table.sum())
    return cramer(table, unseen, len(table) + 1)


def marks_tell(cells: Mapping[str, Cells], i: int) -> Association:
    """Of the mark "is missing", of which sums by class are known of some sites, or all."""
    if cells["shown_marks"][i] < LEAST:
        return absent(FEW_SITES)
    total, missing = cells["class_total"][i], cells["class_missing"][i]
    unseen = int(cells["rows"][0]) - int(total.sum())
    if not missing.any() and not unseen:
        return absent("no value is missing")
    if not missing.any():
        return absent(f"no missing value is shown, and of {unseen} rows it is not known")
    return cramer(np.stack([missing, total - missing]), unseen, 2)


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
