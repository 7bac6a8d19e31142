"""The figures of an audit as the JSON values of audit.json."""

from typing import Any

from calyx.statistics.figures import Figures, VariableFigures
from calyx.statistics.variables import Variable


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures as the JSON values of audit.json."""
    return {
        "sites": figures.sites,
        "rows": figures.rows,
        "duplicates": figures.duplicates,
        "duplicates_share": round(figures.duplicates_share, 6),
        "labels": list(figures.labels),
        "label_spread": [vars(s) for s in figures.label_spread],
        "hidden_labels": figures.hidden_labels,
        "withheld": dict(figures.withheld),
        "columns": {v.variable.name: _as_json(v) for v in figures.variables},
    }


def declared(variable: Variable) -> list[float] | list[str] | None:
    """A variable's range, or its categories as words."""
    return list(variable.bounds) if variable.bounds else list(variable.words) or None


def _as_json(of: VariableFigures) -> dict[str, Any]:
    margins: dict[str, float] = {}
    absent: dict[str, str] = {}
    found: dict[str, Any] = {
        "unit": of.variable.unit,
        "declared": declared(of.variable),
        "missing": of.missing,
        "missing_share": round(of.missing_share, 6),
        "coded_missing": of.coded,
        "missing_spread": vars(of.missing_spread) if of.missing_spread else None,
        "absent_at": of.absent,
        "hidden_at": of.hidden,
        "association": of.association,
    }
    if of.numbers:
        n = of.numbers
        told = {name: known.value for name, known in n.quartiles.items()}
        found |= {
            "count": n.count,
            "mean": n.mean,
            "sd": n.sd,
            "least": n.least,
            "q1": told.get("q1"),
            "median": told.get("median"),
            "q3": told.get("q3"),
            "greatest": n.greatest,
            "range": [n.low, n.high],
            "outside": n.below + n.above,
            "outlier_share": n.outlier_share,
            "histogram": list(n.histogram),
            "edges": list(n.edges),
            "mean_spread": vars(n.spread) if n.spread else None,
        }
        margins |= n.margins
        absent |= n.absent
    if of.categories:
        named = zip(of.categories.words, of.categories.counts, strict=True)
        found |= {
            "categories": dict(named),
            "unknown": of.categories.unknown,
        }
    if of.association is None:
        absent["association"] = of.association_reason
    elif of.association_margin:
        margins["association"] = of.association_margin
    return found | {"margins": margins, "absent": absent}
