"""An audit against an earlier one: which columns' values are distributed otherwise by now.

Both are sums over clients. What sites hid of small cells is allowed for; where it could be a drift,
or a column is not shown, that is said in place of a figure.
"""

import numpy as np

from calyx.statistics.drift import Counts, Drift, Pair, compare, unknown
from calyx.statistics.figures import Figures, VariableFigures
from calyx.statistics.number_drift import number_counts

LABEL = "label"


def compare_figures(earlier: Figures, now: Figures, bins: int = 16) -> list[Drift]:
    """All variables with cells, and the labels; numbers in so many `bins`.

    Raises ValueError if they were counted otherwise.
    """
    names = [v.variable.name for v in now.variables]
    if names != [v.variable.name for v in earlier.variables]:
        raise ValueError("the columns are not the same")
    pairs, unseen = [], {}
    for before, after in zip(earlier.variables, now.variables, strict=True):
        name = after.variable.name
        both = number_counts(before, after, bins)
        expected, observed = both or (_counts(before), _counts(after))
        if before.is_single or after.is_single:
            unseen[name] = unknown(name, "one site alone shows values: they would be its own")
        elif after.variable.categories and (expected is None or observed is None):
            unseen[name] = unknown(name, "no site gives its categories in one of the two audits")
        elif expected is not None and observed is not None:
            pairs.append(Pair(name, expected, observed, after.numbers is not None))
        elif after.numbers is not None:
            unseen[name] = unknown(name, "one of the two audits shows no values")
    label = []
    if earlier.labels and now.labels:
        label = [Pair(LABEL, _labels(earlier), _labels(now), is_ordered=False)]
    compared = iter(compare([*pairs, *label]))
    told = {pair.name for pair in pairs} | unseen.keys()
    columns = [unseen[name] if name in unseen else next(compared) for name in names if name in told]
    return [*columns, *compared]


def _counts(of: VariableFigures) -> Counts | None:
    if of.categories is None:
        return None
    cells = np.array([*of.categories.counts, of.categories.unknown], dtype=np.int64)
    return Counts(cells, of.missing, unseen=of.categories.hidden)


def _labels(figures: Figures) -> Counts:
    cells = np.array(figures.labels, dtype=np.int64)
    return Counts(cells, 0, unseen=figures.hidden_label_rows)
