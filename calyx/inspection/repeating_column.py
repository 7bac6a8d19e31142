"""Rows that belong together and that nobody has grouped: a patient's, a machine's, a sensor's minutes.

They share a word of a column that the schema does not name, or stand beside each other in the file.
Shapes: N rows in the order of their file, M of them first, B words, F features.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema, Table, mark_missing
from calyx.inspection.labels import features
from calyx.seeding import rng

Values = NDArray[np.float64]

FEWEST_WORDS = 5  # fewer are rather a kind of row than one thing
MOST_ROWS = 1000  # looked at, all those of a word together
_ALIKE = 0.5  # share of the rows whose nearest neighbour has their word
_ABOVE_CHANCE = 4.0


def repeats(words: NDArray[np.int64]) -> bool:
    """Whether most rows [M] share their word with another, and there are several; -1 is no word."""
    counts = np.bincount(words[words >= 0])
    counts = counts[counts > 0]
    return len(counts) >= FEWEST_WORDS and bool(counts[counts > 1].sum() > len(words) / 2)


def are_alike(table: Table, schema: Schema, words: NDArray[np.int64]) -> bool:
    """Whether the row nearest to a row mostly has its word, of the first M rows. Deterministic."""
    if not repeats(words):
        return False
    rows = _some(words)
    own_words = words[rows]
    x = features(table.take(rows), schema)
    if x.shape[1] == 0:
        return False
    squares = (x**2).sum(axis=1)
    distances = squares[:, None] - 2 * (x @ x.T) + squares
    np.fill_diagonal(distances, np.inf)
    # Of rows that are equally near, each counts for its share: equal ones have no order.
    nearest = distances <= distances.min(axis=1, keepdims=True) + 1e-9
    same = own_words[:, None] == own_words
    share = float(((nearest & same).sum(axis=1) / nearest.sum(axis=1)).mean())
    chance = (same.sum() - len(rows)) / (len(rows) * (len(rows) - 1))
    return share > max(_ALIKE, _ABOVE_CHANCE * float(chance))


def _some(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of drawn words, all of each, up to MOST_ROWS; of a word with more, its first ones."""
    known = np.unique(words[words >= 0])
    order = rng(0, "repeating").permutation(known)
    chosen: list[int] = []
    for word in order:
        rows = np.flatnonzero(words == word)[: MOST_ROWS // FEWEST_WORDS]
        if len(chosen) + len(rows) > MOST_ROWS:
            break
        chosen += rows.tolist()
    return np.sort(np.array(chosen, dtype=np.int64))


_FEWEST_ROWS, _FEWEST_COLUMNS, _FEWEST_VALUES = 40, 2, 10
_MOST_MISSING = 0.05  # of a column's values
_STILL = 0.3  # von Neumann's ratio: 1 where rows stand in any order, 0 where they hardly change
_FIRST_ROWS = 1000
_BANDS = 10  # of a number that is predicted


def alike_neighbours(table: Table, schema: Schema) -> float | None:
    """The median over columns of von Neumann's ratio, where it says that order matters; else None.

    That is half the mean square of the step from row to row, as a share of the variance. Both are
    about the mean of each class, so that a file sorted by class tells nothing. Source: von Neumann,
    Annals of Mathematical Statistics 1941.
    """
    if len(table) < _FEWEST_ROWS:
        return None
    x, place = mark_missing(table.x, schema), _group(table, schema)
    ratios: list[float] = []
    for group in schema.blocks(len(table)):
        if group.first.kind != "numeric":
            continue
        block = np.ascontiguousarray(x[:, group.places].T)
        block = block[np.isnan(block).sum(axis=1) <= _MOST_MISSING * len(table)]
        block = block[_have_many(block)]
        has_holes = np.isnan(block).any(axis=1)
        ratios += _ratios(block[~has_holes], place).tolist()
        for values in block[has_holes]:
            is_there = ~np.isnan(values)
            ratios += _ratios(values[None, is_there], place[is_there]).tolist()
    told = float(np.median(ratios)) if len(ratios) >= _FEWEST_COLUMNS else 1.0
    return told if told < _STILL else None


def _have_many(block: Values) -> NDArray[np.bool_]:
    """Whether more than `_FEWEST_VALUES` different values are in each column [k, N]; NaN is none."""
    many = np.zeros(len(block), dtype=np.bool_)
    for rows in (_FIRST_ROWS, block.shape[1]):  # the first rows mostly tell
        ordered = np.sort(block[~many, :rows], axis=1)
        steps = (ordered[:, 1:] > ordered[:, :-1]).sum(axis=1)
        many[~many] = steps + 1 > _FEWEST_VALUES
    return many


def _group(table: Table, schema: Schema) -> NDArray[np.int64]:
    if schema.target is None:
        return table.y.astype(np.int64)
    ends = np.quantile(table.y, np.arange(1, _BANDS) / _BANDS)
    return np.searchsorted(ends, table.y).astype(np.int64)


def _ratios(block: Values, group: NDArray[np.int64]) -> Values:
    """The ratio [k] of each column [k, N], whose rows are of these groups [N]."""
    _, place, counts = np.unique(group, return_inverse=True, return_counts=True)
    sums = [np.bincount(place, weights=values) for values in block]
    rest = block - (np.reshape(sums, (len(block), len(counts))) / counts)[:, place]
    total = (rest**2).sum(axis=1)
    steps = (np.diff(rest, axis=1) ** 2).sum(axis=1)
    return np.asarray(np.divide(steps, 2 * total, out=np.ones(len(block)), where=total > 0))
