"""An audit against an earlier one: which columns' values are distributed otherwise by now.

Both are sums over clients. What sites hid of small cells is allowed for.
"""

import numpy as np

from calyx.statistics.drift import Counts, Drift, Pair, compare
from calyx.statistics.figures import Figures, VariableFigures
from calyx.statistics.number_drift import number_counts

MOST_HIDDEN = 9  # rows of one cell that a site hides by the default minimum
LABEL = "label"


def compare_figures(earlier: Figures, now: Figures, bins: int = 16) -> list[Drift]:
    """All variables with cells, and the labels; numbers in so many `bins`.

    Raises ValueError if they were counted otherwise.
    """
    names = [v.variable.name for v in now.variables]
    if names != [v.variable.name for v in earlier.variables]:
        raise ValueError("the columns are not the same")
    pairs = []
    for before, after in zip(earlier.variables, now.variables, strict=True):
        if before.is_single or after.is_single:
            continue  # its cells are left out, and would look as if they had become empty
        name = after.variable.name
        if (both := number_counts(before, after, bins)) is not None:
            pairs.append(Pair(name, *both))
            continue
        expected, observed = _counts(before), _counts(after)
        if expected is not None and observed is not None:
            pairs.append(Pair(name, expected, observed, is_ordered=False))
    if earlier.labels and now.labels:
        pairs.append(Pair(LABEL, _labels(earlier), _labels(now), is_ordered=False))
    return compare(pairs)


def _counts(of: VariableFigures) -> Counts | None:
    if of.categories is None:
        return None
    cells = (*of.categories.counts, of.categories.unknown)
    return Counts(np.array(cells, dtype=np.int64), of.missing, of.hidden * MOST_HIDDEN)


def _labels(figures: Figures) -> Counts:
    hidden = figures.hidden_labels * MOST_HIDDEN
    return Counts(np.array(figures.labels, dtype=np.int64), 0, hidden)
