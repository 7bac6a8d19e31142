"""An audit against an earlier one: which columns' values are distributed otherwise by now.

Both are sums over clients. What sites hid of small cells is allowed for; where it could be a drift,
or a column is not shown, that is said in place of a figure.
"""

import numpy as np

from calyx.findings.drift import Counts, Drift, Pair, compare, unknown
from calyx.findings.figures import Figures, VariableFigures
from calyx.findings.number_drift import number_counts


def compare_figures(earlier: Figures, now: Figures, bins: int = 16) -> list[Drift]:
    """All variables with cells, and the labels; numbers in so many `bins`.

    Raises ValueError if they were counted otherwise.
    """
    names = [v.variable.name for v in now.variables]
    if names != [v.variable.name for v in earlier.variables]:
        raise ValueError("the columns are not the same")
    both = zip(earlier.variables, now.variables, strict=True)
    sides = [_sides(before, after, bins) for before, after in both]
    if earlier.labels and now.labels:
        sides.append(Pair("label", _labels(earlier), _labels(now), is_ordered=False, role="label"))
    compared = iter(compare([side for side in sides if isinstance(side, Pair)]))
    return [next(compared) if isinstance(side, Pair) else side for side in sides if side]


def _sides(before: VariableFigures, after: VariableFigures, bins: int) -> Pair | Drift | None:
    """Both audits' counts of a variable; or that they are unknown; or nothing, of one without cells."""
    name, role = after.variable.name, after.variable.role
    numbers = number_counts(before, after, bins)
    expected, observed = numbers or (_counts(before), _counts(after))
    if before.is_single or after.is_single:
        return unknown(name, "one site alone shows values: they would be its own", role)
    if after.variable.categories and (expected is None or observed is None):
        return unknown(name, "no site gives its categories in one of the two audits", role)
    if expected is not None and observed is not None:
        return Pair(name, expected, observed, after.numbers is not None, role)
    if after.numbers is not None:
        return unknown(name, "one of the two audits shows no values", role)
    return None


def _counts(of: VariableFigures) -> Counts | None:
    if of.categories is None:
        return None
    cells = np.array([*of.categories.counts, of.categories.unknown], dtype=np.int64)
    return Counts(cells, of.missing, unseen=of.categories.hidden)


def _labels(figures: Figures) -> Counts:
    cells = np.array(figures.labels, dtype=np.int64)
    return Counts(cells, 0, unseen=figures.hidden_label_rows)
