"""What a run's audit says of its rows, as parts of a card: findings in sentences, and counts a column."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from calyx.cli.release.settings import hide_names
from calyx.cli.trained import Trained
from calyx.errors import UserError
from calyx.files.foreign import read_object
from calyx.findings.figures import NOT_MEASURED, Figures, VariableFigures
from calyx.findings.figures_json import as_json
from calyx.findings.finding import SEVERITIES
from calyx.findings.numbers import Numbers
from calyx.releases.baseline import Baseline, ColumnBaseline
from calyx.releases.card_parts import AuditPart, FindingPart, Reasons
from calyx.run.audit import Audit, read_audit
from calyx.run.folder import RunFolder
from server.baseline import read_baseline

_NO_AUDIT = "the run had no phase audit"
_COUNTS = ("missing", "outside", "unknown", "histogram", "edges", "categories", "hidden_rows")


@dataclass(frozen=True)
class Looked:
    """What was seen of the training's rows; None where `absent` says why."""

    audit: AuditPart | None = None
    baseline: Baseline | None = None
    absent: Reasons = field(default_factory=dict)


def read_looked(trained: Trained, clients: Collection[str]) -> Looked:
    """The audit of a run, in which none of the `clients` is named.

    Raises UserError for files that are damaged, or not of one audit of this task.
    """
    folder, known = trained.folder, trained.summary.num_clients
    if not folder.audit.is_file() and not folder.statistics.is_file():
        return Looked(absent=dict.fromkeys(("audit", "baseline"), _NO_AUDIT))
    audit = read_audit(folder.audit)
    figures = read_baseline(str(folder.path), trained.task, audit.bins)
    _check_same(folder, figures)
    if known is not None and figures.sites > known:
        raise UserError(
            f"{folder.audit} is of {figures.sites} sites, more sites than the run has ({known}): it is of "
            "another run; restore it from a copy."
        )
    return Looked(_audit_part(audit, clients), baseline_of(figures))


def _check_same(folder: RunFolder, figures: Figures) -> None:
    """Raise UserError unless audit.json has the counts that follow from statistics.json."""
    try:
        told = read_object(folder.audit)
    except (OSError, ValueError):
        told = {}
    here = as_json(figures)
    pairs = [(here.get(key), told.get(key)) for key in ("sites", "rows", "labels", "duplicates")]
    columns: Any = told.get("columns")
    for name, column in here["columns"].items():
        other = columns.get(name) if isinstance(columns, dict) else None
        other = other if isinstance(other, dict) else {}
        pairs += [(column.get(key), other.get(key)) for key in _COUNTS]
    if any(one != other for one, other in pairs):
        raise UserError(
            f"{folder.audit} and {folder.statistics} are not of one audit; restore both from a copy, or run "
            "again."
        )


def _audit_part(audit: Audit, clients: Collection[str]) -> AuditPart:
    severities = [finding.severity for finding in audit.findings]
    return AuditPart(
        sites=audit.sites,
        rows=audit.rows,
        by_severity={one: severities.count(one) for one in SEVERITIES},
        findings=tuple(
            FindingPart(
                check=one.check,
                severity=one.severity,
                column=one.column,
                message=hide_names(one.message, clients),
                advice=hide_names(one.advice, clients),
            )
            for one in audit.findings
        ),
    )


def baseline_of(figures: Figures) -> Baseline:
    """The counts of an audit, by which later rows are compared with those of the training."""
    is_told = figures.is_given("labels")
    return Baseline(
        sites=figures.sites,
        rows=figures.rows if figures.is_given("rows") else None,
        labels=figures.labels if is_told else (),
        hidden_labels=figures.hidden_label_rows if is_told else 0,
        columns=tuple(
            _column(of, is_missing_told=figures.is_given("missing")) for of in figures.variables
        ),
    )


def _column(of: VariableFigures, *, is_missing_told: bool) -> ColumnBaseline:
    values = _counts(of) or {"absent": _why_none(of)}
    missing = of.missing if is_missing_told else None
    return ColumnBaseline(name=of.variable.name, role=of.variable.role, missing=missing, **values)


def _why_none(of: VariableFigures) -> str:
    """Why the audit shows no counts of a variable."""
    if of.is_single:
        return "one site alone shows values: they would be its own"
    if of.numbers is not None:
        return of.numbers.absent.get("histogram", "its values lie too close together for bins")
    return "no site gives its categories" if of.variable.categories else NOT_MEASURED


def _counts(of: VariableFigures) -> dict[str, Any]:
    """The cells that the audit shows, by the names of `ColumnBaseline`; none where it shows none."""
    if of.is_single:
        return {}
    if of.numbers is not None:
        return _bins(of.numbers)
    if of.categories is None:
        return {}
    return {
        "codes": of.categories.names,
        "counts": of.categories.counts,
        "outside": of.categories.unknown,
        "hidden": of.categories.hidden,
    }


def _bins(of: Numbers) -> dict[str, Any]:
    is_drawn = all(low < high for low, high in pairwise(of.edges))  # not at the end of float64
    if not (of.histogram and is_drawn):
        return {}
    return {
        "edges": of.edges,
        "counts": of.histogram,
        "margin": math.ceil(of.margins.get("histogram", 0.0)),
        "outside": of.below + of.above,
        "hidden": of.moved.joined + of.moved.left,
        "mean": of.mean,
        "sd": of.sd,
    }
