"""Drift as findings of an audit, on the one scale of severity: an alert is an error."""

from collections.abc import Iterator, Sequence

from calyx.statistics.drift import Drift
from calyx.statistics.finding import AuditFinding, Severity, names_of

_SEVERITIES: dict[str, Severity] = {"alert": "error", "warning": "warning"}


def drift_findings(drifts: Sequence[Drift]) -> Iterator[AuditFinding]:
    """One of each column that drifted, and one of all for which that cannot be told."""
    for drift in drifts:
        if drift.severity in _SEVERITIES:
            yield AuditFinding(
                "drift",
                _SEVERITIES[drift.severity],
                drift.name,
                None,
                f"{drift.name} is distributed otherwise than in the baseline ({figures_of(drift)}).",
                "See what changed at the sites: the rows, a unit, or a code. If the change is meant, "
                "compare with a later run (audit.baseline).",
            )
    open_ones = [drift for drift in drifts if drift.severity == "unknown"]
    if open_ones:
        first = open_ones[0]
        example = "" if len(open_ones) == 1 else f"of {first.name}, "
        yield AuditFinding(
            "drift-unknown",
            "info",
            first.name if len(open_ones) == 1 else None,
            len(open_ones),
            f"Whether {names_of([drift.name for drift in open_ones])} drifted cannot be told: "
            f"{example}{first.absent.get('psi', 'no rows are shown')}.",
            "Do not take it for unchanged: ask the sites, who see their own rows.",
        )


def figures_of(drift: Drift) -> str:
    """ "PSI 1.10, KS 0.42"; "at least" where hidden rows could make it more."""
    least = "at least " if drift.psi_most is not None else ""
    psi = "PSI —" if drift.psi is None else f"PSI {least}{drift.psi:.2f}"
    return psi + ("" if drift.ks is None else f", KS {drift.ks:.2f}")
