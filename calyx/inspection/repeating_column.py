"""A column that the schema does not name, by whose words rows are alike: a patient's, a machine's.

Shapes: N rows, M of them first in the file, B words, F features.
"""

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema, Table
from calyx.inspection.labels import features
from calyx.seeding import rng

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
    found = words[rows]
    x = features(table.take(rows), schema)
    if x.shape[1] == 0:
        return False
    squares = (x**2).sum(axis=1)
    distances = squares[:, None] - 2 * (x @ x.T) + squares
    np.fill_diagonal(distances, np.inf)
    # Of rows that are equally near, each counts for its share: equal ones have no order.
    nearest = distances <= distances.min(axis=1, keepdims=True) + 1e-9
    same = found[:, None] == found
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
