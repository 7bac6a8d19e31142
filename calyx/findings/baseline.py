"""An audit against an earlier one: which columns' values are distributed otherwise by now.

Both are sums over clients. What sites hid of small cells is allowed for; where it could be a drift,
or a column is not shown, that is said in place of a figure.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from calyx.findings.drift import Counts, Drift, Pair, compare, unknown
from calyx.findings.figures import Figures, VariableFigures
from calyx.findings.finding import SHOWN, AuditFinding, Severity
from calyx.findings.number_drift import number_counts
from calyx.words.sentences import list_first


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


_SEVERITIES: dict[str, Severity] = {"alert": "error", "warning": "warning"}


def drift_findings(drifts: Sequence[Drift]) -> Iterator[AuditFinding]:
    """A finding of each column that drifted, and one of all for which that cannot be told."""
    for drift in drifts:
        if drift.severity in _SEVERITIES:
            who = "The label" if drift.role == "label" else drift.name
            yield AuditFinding(
                "drift",
                _SEVERITIES[drift.severity],
                column_of(drift),
                None,
                f"{who} is distributed otherwise than in the baseline ({figures_of(drift)}).",
                "See what changed at the sites: the rows, a unit, or a code. If the change is meant, "
                "compare with a later run (audit.baseline).",
            )
    open_ones = [drift for drift in drifts if drift.severity == "unknown"]
    if open_ones:
        first = open_ones[0]
        names = [name_of(drift) for drift in open_ones]
        example = "" if len(open_ones) == 1 else f"of {names[0]}, "
        yield AuditFinding(
            "drift-unknown",
            "info",
            column_of(first) if len(open_ones) == 1 else None,
            len(open_ones),
            f"Whether {list_first(names, SHOWN)} drifted cannot be told: "
            f"{example}{first.absent.get('psi', 'no rows are shown')}.",
            "Do not take it for unchanged: ask the sites, who see their own rows.",
        )


def column_of(drift: Drift) -> str | None:
    """The column of a finding; None for the label, even where a column has its name."""
    return None if drift.role == "label" else drift.name


def name_of(drift: Drift) -> str:
    """How a variable is called in a sentence."""
    return "the label" if drift.role == "label" else drift.name


def figures_of(drift: Drift) -> str:
    """ "PSI 1.10, KS 0.42"; "at least" where hidden rows could make it more."""
    least = "at least " if drift.psi_most is not None else ""
    psi = "PSI —" if drift.psi is None else f"PSI {least}{drift.psi:.2f}"
    return psi + ("" if drift.ks is None else f", KS {drift.ks:.2f}")
