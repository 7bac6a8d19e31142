"""How the values of a numeric column are distributed over all sites: bounds from the cells' places.

Of each edge it is known how many rows at least, and at most, lie below it. So each quantile has
bounds that hold whatever the sites hid; between them it is interpolated, and its margin reaches the
farther one. Where cells of many sites overlap, or places of many values repeat, bounds get wide.
Shapes: M edges, L scales of B places each, J kept places.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.survey.places import FACTOR, FINEST, Cells

Values = NDArray[np.float64]
_KEPT = 256  # places of a scale that are looked at more finely: those with most rows
_SHARP = 4  # finest places; within so many, a number is told by its shortest decimals


@dataclass(frozen=True)
class Told:
    """A number, and how far it may be off at most."""

    value: float
    margin: float


@dataclass(frozen=True)
class Uncertain:
    """Rows of which the cells do not say all; `joined` and `left` are upper bounds."""

    below: int = 0  # in cells whose least value is not told
    above: int = 0  # in cells whose greatest value is not told
    joined: int = 0  # in a cell although they have no value in the range
    left: int = 0  # in no cell although they have one


@dataclass(frozen=True)
class Distribution:
    """`least` and `most` [M] rows lie below each of the `edges` [M], from the range's low to its high."""

    edges: Values
    least: Cells
    most: Cells
    middle: Values  # [M] rows below each edge, as far as can be guessed
    uncertain: Uncertain

    @property
    def rows(self) -> int:
        """How many rows are in the cells."""
        return int(self.middle[-1])

    def below(self, x: float) -> tuple[int, int]:
        """At least and at most so many rows have a value below `x`."""
        after = min(int(np.searchsorted(self.edges, x, "left")), len(self.edges) - 1)
        before = int(np.searchsorted(self.edges, x, "right")) - 1
        least = int(self.least[before]) if before >= 0 else 0
        return max(0, least - self.uncertain.joined), int(self.most[after]) + self.uncertain.left

    def guess(self, x: Values) -> Values:
        """About how many rows have a value below each of `x`."""
        return np.interp(x, self.edges, self.middle)

    def quantile(self, q: float) -> Told | None:
        """The `q` quantile, as NumPy and pandas interpolate it between two rows. None without rows."""
        if self.rows <= self.uncertain.joined:
            return None
        low, high = self.bounds(q)
        guess = float(np.interp(q * self.rows, self.middle, self.edges))
        value = min(max(guess, low), high)
        if high - low <= _SHARP * (self.edges[-1] - self.edges[0]) / FINEST:
            value = shortest(low, high)
        return Told(value, max(high - value, value - low))

    def bounds(self, q: float) -> tuple[float, float]:
        """The least and the most that the `q` quantile can be.

        A row that joined has changed its rank by 1 and the quantile's by q; one that left likewise.
        """
        rank, of = q * (self.rows - 1), self.uncertain
        first = max(0.0, rank - q * of.joined - (1 - q) * of.left)
        last = min(self.rows - 1.0, rank + (1 - q) * of.joined + q * of.left)
        is_open = of.left > 0 and rank + (1 - q) * of.joined + q * of.left > self.rows - 1
        low = self._at(first, self.most.searchsorted([int(first), int(first) + 1], "right") - 1)
        high = self._at(last, self.least.searchsorted([int(last) + 1, int(last) + 2], "left"))
        return low, float(self.edges[-1]) if is_open else high

    def _at(self, rank: float, places: NDArray[np.intp]) -> float:
        """Between the edges at two places, for a rank between two rows."""
        first, second = self.edges[places.clip(0, len(self.edges) - 1)].tolist()
        return float(first + (rank - int(rank)) * (second - first))

    def mode(self) -> float | None:
        """The value that most rows have; None where it cannot be told from others."""
        width = np.diff(self.edges)
        is_sharp = width <= _SHARP * (self.edges[-1] - self.edges[0]) / FINEST
        surely = np.where(is_sharp, self.least[1:] - self.most[:-1] - self.uncertain.joined, 0)
        place = int(surely.argmax())
        perhaps = self.most[1:] - self.least[:-1] + self.uncertain.left
        perhaps[place] = 0
        if surely[place] <= perhaps.max(initial=0):
            return None
        return shortest(*self.edges[place : place + 2].tolist())


def shortest(low: float, high: float) -> float:
    """The number in `low` … `high` with the fewest decimals."""
    middle = low + (high - low) / 2
    for digits in range(-300, 18) if high > low else ():
        rounded = round(middle, digits)
        if low <= rounded <= high:
            return rounded
    return middle


def read(tables: Cells, bounds: tuple[float, float], uncertain: Uncertain) -> Distribution:
    """The distribution that sums of `places.tables` [2, L, B] tell of values within `bounds`."""
    rows = int(tables[0, 0].sum())
    begun, ended = (_bounds(side) for side in tables)
    places = np.union1d(begun.places, ended.places)
    # No cell begins later than its rows, and none ends earlier.
    most = begun.most[begun.places.searchsorted(places, "left")]
    least = ended.least[ended.places.searchsorted(places, "right") - 1]
    guess = _guess(begun, ended, places, rows, uncertain)
    is_step = np.append(True, (np.diff(most) > 0) | (np.diff(least) > 0))
    kept = is_step | np.append(is_step[1:], True)
    low, high = bounds
    edges = low + places[kept] / FINEST * (high - low)
    edges[-1] = high
    return Distribution(edges, least[kept], most[kept], guess[kept], uncertain)


@dataclass(frozen=True)
class _Side:
    """Bounds of the rows whose cell begins (or ends) below each of the `places` [M]."""

    places: Cells
    least: Cells
    most: Cells


def _guess(begun: _Side, ended: _Side, places: Cells, rows: int, of: Uncertain) -> Values:
    """About how many rows lie below each place: half way between their cells' beginning and end.

    A cell without a beginning is taken to lie where cells end first, and the other way round.
    """
    starts, ends = (
        np.interp(places, side.places, (side.least + side.most) / 2) for side in (begun, ended)
    )
    lower = np.where(places > 0, starts - of.below, 0) + np.minimum(of.below, ends)
    left = rows - starts  # rows of cells that begin at a place or after it
    without = rows - ends - of.above  # rows of cells that end there, but for those without an end
    upper = np.where(places < FINEST, rows - without - np.minimum(of.above, left), rows)
    guess = (np.clip(lower, 0, rows) + np.clip(upper, 0, rows)) / 2
    guess[0], guess[-1] = 0, rows
    return np.asarray(np.maximum.accumulate(guess))


def _bounds(table: Cells) -> _Side:
    """Bounds from one side's scales [L, B], each of which shows its places modulo B.

    A place of one scale is four of the next. These share their counts with all places that lie B,
    2·B, … of the next scale away: of a place with most of the rows of its like much is known, of
    one with few nothing more.
    """
    bins = table.shape[1]
    shift = FINEST // bins
    ends = np.concatenate([[0], np.cumsum(table[0])])
    places, least, most = [np.arange(bins + 1) * shift], [ends], [ends]
    at = np.arange(bins, dtype=np.int64)
    inside = (table[0], table[0])  # [J] rows in a place, at least and at most
    before = (ends[:-1], ends[:-1])  # [J] rows below it
    for level in range(1, len(table)):
        shift //= FACTOR
        kept = np.sort(np.argsort(-inside[1], kind="stable")[:_KEPT])
        kept = kept[inside[1][kept] > 0]
        at, low, high = at[kept] * FACTOR, inside[0][kept, None], inside[1][kept, None]
        counts = table[level][(at % bins)[:, None] + np.arange(FACTOR)]
        total = counts.sum(axis=1, keepdims=True)
        others = np.maximum(total - low, 0)  # rows at most of other places that look alike
        sums = np.concatenate([np.zeros_like(total), np.cumsum(counts, axis=1)], axis=1)
        part_low = np.maximum(sums - others, 0)
        part_high = np.minimum(np.minimum(high, sums), high - np.maximum(total - sums - others, 0))
        part_high = np.maximum(part_high, part_low)
        below = [
            side[kept, None] + part
            for side, part in zip(before, (part_low, part_high), strict=True)
        ]
        edges = at[:, None] + np.arange(FACTOR + 1)
        places.append((edges[:, 1:-1] * shift).ravel())
        least.append(below[0][:, 1:-1].ravel())
        most.append(below[1][:, 1:-1].ravel())
        at = edges[:, :-1].ravel()
        inside = (np.maximum(counts - others, 0).ravel(), np.minimum(counts, high).ravel())
        before = (below[0][:, :-1].ravel(), below[1][:, :-1].ravel())
    order = np.argsort(np.concatenate(places), kind="stable")
    sorted_least = np.concatenate(least)[order]
    sorted_most = np.concatenate(most)[order]
    return _Side(
        np.concatenate(places)[order],
        np.maximum.accumulate(sorted_least),
        np.minimum.accumulate(sorted_most[::-1])[::-1],
    )
