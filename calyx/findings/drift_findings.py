"""Drift as findings of an audit, on the one scale of severity: an alert is an error."""

from collections.abc import Iterator, Sequence

from calyx.findings.drift import Drift
from calyx.findings.finding import SHOWN, AuditFinding, Severity
from calyx.words.sentences import list_first

_SEVERITIES: dict[str, Severity] = {"alert": "error", "warning": "warning"}


def drift_findings(drifts: Sequence[Drift]) -> Iterator[AuditFinding]:
    """One of each column that drifted, and one of all for which that cannot be told."""
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
