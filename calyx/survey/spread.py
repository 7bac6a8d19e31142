"""How far sites lie apart, from sums of powers over them: the spread, and how far the farthest is off.

A standard deviation over sites shrinks as the federation grows: one of n sites that is d off gives
about d/√n. With the fourth power one can say how far some site must be off, whatever n is. Which
one it is stays unknown. Shapes: P places (categories, classes, variables).
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from calyx.survey.suppression import coarse, coarse_shares, suppress

Cells = NDArray[np.int64]
Values = NDArray[np.float64]
POWER_STEPS = 2**12  # of a share: its fourth power, summed over 32,768 sites, is an int64
POWER_MAX = POWER_STEPS**4
LINES = 8  # q, q², q³, q⁴, sites, a, a², margin²
_STEPS = 2**40  # of a, a² and margin²
_MOST_MARGIN = 0.2  # of a site's share, above which it is compared with no other's
_LEAST_SD = 4 / POWER_STEPS  # of the declared range; finer values are not told apart


@dataclass(frozen=True)
class Shift:
    """How a share, or a mean in units of the declared range, differs between sites."""

    mean: float  # over sites, each counting once
    sd: float
    sites: int = 0  # that are compared
    margin: float = 0.0  # mean and sd are right to this: small cells are hidden, counts rounded
    farthest: float | None = None  # some site is off the mean by so much at least; None: not told
    chance: float | None = None  # about what `farthest` would be if all rows were drawn alike


@dataclass(frozen=True)
class Shares:
    """The shares of one site: NaN where it has none, each right to its margin, and made of so many rows."""

    values: Values  # [P] 0 … 1
    margins: Values  # [P]
    rows: Values  # [P] rounded ones
    minimum: int  # what they are rounded to


def shares_of(cells: Cells, minimum: int, hidden: int = 0) -> Shares:
    """The shares of cells [P] in their sum, as far as `suppress` lets them be known.

    Of the sum, `hidden` rows more may belong to any cell.
    """
    total = max(coarse(int(cells.sum()) + hidden, minimum), 1)
    shown, _ = suppress(cells, minimum)
    small = (cells > 0) & (cells < minimum)
    margins = np.full(len(cells), minimum / total if minimum > 1 else 0.0)
    # What was hidden to protect small cells is known as the rest of the hidden rows.
    margins[(cells != shown) & ~small] += small.sum() * minimum / 2 / total
    values = coarse_shares(cells, minimum) * max(coarse(int(cells.sum()), minimum), 1) / total
    rows = np.full(len(cells), float(total))
    return Shares(np.minimum(values, 1.0), margins + hidden / total, rows, minimum)


def powers(of: Shares) -> Cells:
    """What one site adds, [8 · P]: powers of its shares, 1, and how sure chance lets each be.

    a = 1/rows + (minimum/rows)²/3: four times the variance that draws of its rows and the rounding
    of counts give a share of a half. Shares that are known badly add nothing.
    """
    is_known = ~np.isnan(of.values) & (of.margins <= _MOST_MARGIN) & (of.rows > 0)
    q = np.where(is_known, np.rint(np.where(is_known, of.values, 0.0) * POWER_STEPS), 0.0)
    q = q.astype(np.int64)
    rows = np.maximum(of.rows, 1.0)
    rounding = of.minimum**2 / 3 if of.minimum > 1 else 0.0
    a = np.minimum(1.0, 1 / rows + rounding / rows**2)
    sure = [np.where(is_known, np.rint(v * _STEPS), 0) for v in (a, a**2, of.margins**2)]
    lines = (q, q**2, q**3, q**4, is_known, *sure)
    return np.concatenate([line.astype(np.int64) for line in lines])


def shift_of_shares(cells: Cells, place: int) -> Shift | None:
    """Shares [8, P] over sites; None for fewer than two sites."""
    sites = int(cells[4, place])
    if sites < 2:
        return None
    e1, e2 = (Fraction(int(cells[i, place]), sites) for i in (0, 1))
    mean, sd = float(e1) / POWER_STEPS, float(e2 - e1**2) ** 0.5 / POWER_STEPS
    margin = (int(cells[7, place]) / _STEPS / sites) ** 0.5 + 1 / POWER_STEPS
    chance = max(0.0, mean * (1 - mean)) ** 0.5 * _root(cells, place)
    return Shift(mean, sd, sites, margin, _farthest(cells, place), chance)


def with_farthest(shift: Shift, cells: Cells, place: int, sd: float) -> Shift:
    """The shift of a mean, of which the values' `sd` is known, with what the powers [8, P] tell."""
    sites = int(cells[4, place])
    if sites < 2 or sd < _LEAST_SD:
        return shift
    far, chance = _farthest(cells, place), sd * _root(cells, place)
    return Shift(shift.mean, shift.sd, sites, shift.margin, far, chance)


def _farthest(cells: Cells, place: int) -> float:
    """How far some site is off the mean at least: √(m₄/m₂).

    For deviations d, Σd⁴ ≤ max d² · Σd²: so it is never more than the farthest site's.
    """
    sites = int(cells[4, place])
    mean, e2, e3, e4 = (Fraction(int(cells[i, place]), sites) for i in range(4))
    m2 = e2 - mean**2
    m4 = e4 - 4 * mean * e3 + 6 * mean**2 * e2 - 3 * mean**4
    return float(m4 / m2) ** 0.5 / POWER_STEPS if m2 > 0 else 0.0


def _root(cells: Cells, place: int) -> float:
    """√(m₄/m₂) of normal deviates with the variances a: √(3 Σa²/Σa)."""
    a, squares = (int(cells[i, place]) / _STEPS for i in (5, 6))
    return float(3 * squares / a) ** 0.5 if a > 0 else 0.0
