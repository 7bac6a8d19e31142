"""How much a numeric column tells of the label: η with classes, |r| with a number, over the same rows.

All sums are exact and of the same rows. Where sites hide rows of small classes, or count some
otherwise, η has bounds: it is told with a margin, or is absent. An impossible figure is an error.
Shapes: R variables with a range, K classes.
"""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from calyx.errors import CalyxError
from calyx.findings.label_association import WIDEST, Association, absent, chance_of_numbers
from calyx.findings.numbers import read_moved
from calyx.survey.blocks import Cells
from calyx.survey.moments import STEPS, Bounds, Moved, unit
from calyx.vector.exact import root

Values = NDArray[np.float64]

_ROUNDING = 1e-9
_COUNTED = 1_000_000  # hidden rows, each number of which is tried
_MOVED = "sites count some rows otherwise, to hide small numbers"


def of_classes(cells: Mapping[str, Cells], r: int, bounds: Bounds) -> Association:
    """The correlation ratio η of the `r`th variable; of two classes it is |r|.

    Raises CalyxError for sums that no rows have.
    """
    rows, moved = int(cells["present"][r]), read_moved(cells, r, bounds)
    counts = [int(n) for n in cells["class_present"][r]]
    sums, square = [int(n) for n in cells["class_sum"][r]], int(cells["class_square"][r])
    hidden = rows - sum(counts)
    if sum(counts) == 0 or hidden < 0 or moved.left:
        return absent(_MOVED if moved.left else "no site shows enough rows by class")
    total, squares = int(cells["sum"][r]), int(cells["square"][r])
    variance = rows * squares - total**2
    if variance <= 0:
        return absent("all values are the same")
    sd = root(variance, rows**2)
    # Σ over a class's shown rows of (x − mean)/sd, from one difference of whole numbers.
    scores = np.array(
        [
            float(Fraction(s * rows - n * total, rows)) / sd
            for n, s in zip(counts, sums, strict=True)
        ]
    )
    if hidden == 0 and not moved.is_any:
        filled = np.array(counts) > 0
        between = float((scores[filled] ** 2 / np.array(counts)[filled]).sum())
        return _exact((between / rows) ** 0.5, rows, int(filled.sum()))
    shown = square * rows**2 - 2 * total * sum(sums) * rows + sum(counts) * total**2
    unseen = max(0.0, rows - float(Fraction(shown, variance)))
    own = sd * 2.0 ** (unit(bounds) - STEPS)  # in the column's unit
    return _bound(np.array(counts, dtype=np.float64), scores, unseen, rows, moved, sd=own)


def _exact(value: float, rows: int, classes: int) -> Association:
    """An association of sums of which nothing is unknown. Raises CalyxError above 1."""
    if not value <= 1 + _ROUNDING:
        raise CalyxError(f"an association of {value:g} is impossible: its sums are of no rows")
    # Above 1 by rounding only.
    return Association(min(1.0, value), 0.0, chance_of_numbers(rows, classes))


def _bound(
    counts: Values, scores: Values, unseen: float, rows: int, moved: Moved, *, sd: float
) -> Association:
    """η from the shown rows, and how far the others can move it.

    In standard deviations: `scores` [K] are the sums of a class's shown rows, and `unseen` is the
    sum of squares of all other rows, whose classes are not known. A part of them adds up to less
    than √(their squares · their number); Σ of class means' squares grows by `unseen` at most.
    """
    hidden = rows - counts.sum()
    center = -scores.sum()  # the sum of the hidden rows: all together have none
    width = (max(0.0, unseen * hidden - center**2)) ** 0.5 / 2
    least, most = min(0.0, center) - width, max(0.0, center) + width
    joined = rows * moved.share / (1 + moved.share)
    real = rows - moved.joined
    if real <= 0:
        return absent(_MOVED)
    slack = (moved.joined * joined) ** 0.5 + (moved.changed * moved.change) ** 0.5 / sd
    slack = slack + (counts + hidden) * slack / real
    low, high = scores + least - slack, scores + most + slack
    nearest = np.where(low * high < 0, 0.0, np.minimum(np.abs(low), np.abs(high)))
    farthest = np.maximum(np.abs(low), np.abs(high))
    filled = counts > 0
    between = float((scores[filled] ** 2 / counts[filled]).sum())
    fewest = float((nearest**2 / np.maximum(counts + hidden, 1)).sum())
    greatest = float((farthest[filled] ** 2 / np.maximum(counts[filled] - moved.joined, 1)).sum())
    greatest = greatest + unseen if (~filled).any() else greatest
    if not moved.is_any:
        greatest = min(greatest, between + unseen)
    change = moved.change / sd**2
    squares = max(rows / (1 + moved.share) - rows * (slack.max() / real) ** 2, 0.0)
    squares = max(squares**0.5 - change**0.5, 0.0) ** 2
    low_eta = (fewest / (rows**0.5 + change**0.5) ** 2) ** 0.5
    high_eta = min(1.0, (greatest / squares) ** 0.5) if squares else 1.0
    if len(counts) == 2 and 0 < hidden <= _COUNTED and not moved.is_any:
        low_eta, high_eta = _of_two(counts, scores, unseen, rows)
    value = min(max((between / max(rows - unseen, between, 1e-300)) ** 0.5, low_eta), high_eta)
    margin = max(high_eta - value, value - low_eta)
    if margin > WIDEST:
        return absent(
            f"the classes of {hidden:.0f} rows are hidden, since they are few, and up to "
            f"{moved.joined + moved.changed} rows count otherwise: it is anything from {low_eta:.2f} "
            f"to {high_eta:.2f}"
        )
    return Association(value, margin, chance_of_numbers(int(counts.sum()), int(filled.sum())))


def _of_two(counts: Values, scores: Values, unseen: float, rows: int) -> tuple[float, float]:
    """The least and the greatest η of two classes, whichever the classes of the hidden rows are.

    If j of h hidden rows are of the second class, their sum is off j/h of all hidden ones' by
    s·√(j(h − j)) at most, where s is the standard deviation of the hidden rows.
    """
    hidden = round(rows - counts.sum())
    center = -scores.sum() / hidden
    j = np.arange(hidden + 1)
    first, second = counts[0] + hidden - j, counts[1] + j
    width = np.sqrt(max(0.0, unseen / hidden - center**2) * j * (hidden - j))
    middle = scores[1] + j * center
    per_row = np.where(
        (first > 0) & (second > 0), (1 / np.maximum(first, 1)) + 1 / np.maximum(second, 1), 0
    )
    nearest, farthest = np.maximum(np.abs(middle) - width, 0), np.abs(middle) + width
    least, greatest = (off**2 * per_row / rows for off in (nearest, farthest))
    return float(least.min()) ** 0.5, min(1.0, float(greatest.max()) ** 0.5)


def of_target(cells: Mapping[str, Cells], r: int, bounds: Bounds) -> Association:
    """Pearson's |r| of the `r`th variable with a regression's target, the last one.

    Over all rows that have both within their ranges. Raises CalyxError for impossible sums.
    """
    rows, moved = int(cells["pairs"][r]), read_moved(cells, r, bounds)
    if rows == 0:
        return absent("no site shows enough rows that have a target, too")
    if moved.is_any or rows < int(cells["present"][r]):
        what = _MOVED if moved.is_any else "some rows have a target beyond its reach, or are hidden"
        return absent(what)
    x, t = (int(n) for n in cells["pair_sums"][r])
    xx, tt, xt = (int(n) for n in cells["pair_squares"][r])
    own, others = rows * xx - x**2, rows * tt - t**2
    if own <= 0 or others <= 0:
        return absent("all values, or all targets, are the same")
    product = rows * xt - x * t
    return _exact(root(product**2, own * others), rows, 0)
