"""The figures of an audit as the JSON values of audit.json."""

from collections.abc import Iterator, Set
from typing import Any

from calyx.findings.figures import Figures, VariableFigures
from calyx.survey.blocks import Item
from calyx.survey.spread import Shift
from calyx.survey.variables import Variable

_ONE_SITE = "one site alone shows values: the figure would be its own"
_NOT_GIVEN = "no site gives it"
_NO_VALUES = "no values are shown"
_TOO_COARSE = "too few values are shown, or they lie too close together"
_OTHER_ROWS = "other sites tell the count than how many rows they have"
_TOO_FINE = "the spread of all values is not known, or too small a part of the declared range"
_FEW_SITES = "fewer than two sites show it"
# Of what item a count is: 0 where no site gives it would look like a count.
_COUNTED: dict[str, Item] = {
    "rows": "rows",
    "duplicates": "duplicates",
    "labels": "labels",
    "hidden_labels": "labels",
    "hidden_label_rows": "labels",
    "missing": "missing",
    "coded_missing": "missing",
    "absent_at": "missing",
    "hidden_at": "missing",
    "outside": "ranges",
    "unknown": "ranges",
    "count": "moments",
    "hidden_rows": "categories",
}


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures as the JSON values of audit.json."""
    nobody = {key for key, item in _COUNTED.items() if not figures.is_given(item)}
    counts: dict[str, Any] = {
        "sites": figures.sites,
        "rows": figures.rows,
        "duplicates": figures.duplicates,
        "duplicates_share": _round_share(figures.duplicates_share),
        "labels": list(figures.labels),
        "label_spread": [_shift(s) for s in figures.label_spread],
        "hidden_labels": figures.hidden_labels,
        "hidden_label_rows": figures.hidden_label_rows,
        "withheld": dict(figures.withheld),
    }
    is_classes = bool(figures.labels)
    lost = {key for key in nobody & counts.keys() if is_classes or _COUNTED[key] != "labels"}
    reasons = dict(_absent_of_all(figures)) | dict.fromkeys(sorted(lost), _NOT_GIVEN)
    return {
        **{key: None if key in lost else value for key, value in counts.items()},
        "margins": dict(_margins_of_all(figures)),
        "absent": reasons,
        "columns": {v.variable.name: _as_json(v, nobody) for v in figures.variables},
    }


def _margins_of_all(figures: Figures) -> Iterator[tuple[str, float]]:
    """By how much counts of all rows may be too small, since sites hide small ones."""
    if figures.duplicates_open:
        yield "duplicates", figures.duplicates_open
        yield "duplicates_share", figures.duplicates_open / max(1, figures.rows)


def _absent_of_all(figures: Figures) -> Iterator[tuple[str, str]]:
    if None in figures.label_spread:
        yield "label_spread", _FEW_SITES
    if figures.duplicates_share is None:
        is_known = figures.is_given("duplicates") and figures.is_given("rows")
        yield "duplicates_share", _OTHER_ROWS if is_known else _NOT_GIVEN


def _round_share(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def declare(variable: Variable) -> list[float | None] | list[str] | None:
    """A variable's range, of a target also one end alone, or its categories as words."""
    ends = [variable.low, variable.high]
    is_range = ends != [None, None] if variable.role == "target" else variable.bounds is not None
    return ends if is_range else list(variable.words) or None


def _as_json(of: VariableFigures, nobody: Set[str]) -> dict[str, Any]:
    """`nobody` are counts of items that no site gives."""
    values: dict[str, Any] = {
        "role": of.variable.role,
        "unit": of.variable.unit,
        "declared": declare(of.variable),
        "missing": of.missing,
        "missing_share": _round_share(of.missing_share),
        "coded_missing": of.coded,
        "missing_spread": _shift(of.missing_spread),
        "absent_at": of.absent,
        "hidden_at": of.hidden,
        "association": of.association,
        "association_chance": of.tells.chance,
        "mark_association": of.marks.value,
        "mark_chance": of.marks.chance,
    }
    if of.numbers:
        n = of.numbers
        told = {name: known.value for name, known in n.quartiles.items()}
        values |= {
            "count": None if of.is_single and not n.count else n.count,
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
            "histogram": list(n.histogram) if "histogram" not in n.absent else None,
            "edges": list(n.edges),
            "mean_spread": _shift(n.spread),
        }
    if of.categories:
        words, spread = of.categories.words, of.categories.spread
        values |= {
            "categories": dict(zip(words, of.categories.counts, strict=True)),
            "unknown": of.categories.unknown,
            "hidden_rows": of.hidden_rows,
            "category_spread": dict(zip(words, map(_shift, spread), strict=True))
            if any(spread)
            else None,
        }
    elif of.variable.categories:
        values |= dict.fromkeys(("categories", "unknown", "category_spread"))
        values["hidden_rows"] = of.hidden_rows
    lost = dict.fromkeys(sorted(nobody & values.keys()), _NOT_GIVEN)
    values |= dict.fromkeys(lost)
    return values | {"margins": dict(_margins(of)), "absent": _absent(of, values, nobody) | lost}


def _shift(shift: Shift | None) -> dict[str, Any] | None:
    return None if shift is None else vars(shift)


def _margins(of: VariableFigures) -> Iterator[tuple[str, float]]:
    """By how much a figure may be off; one that is not here is exact to its last step."""
    if of.tells.margin:
        yield "association", of.tells.margin
    if of.marks.margin:
        yield "mark_association", of.marks.margin
    if of.coded_open:
        yield "coded_missing", of.coded_open
    if of.hidden_rows:
        yield "missing", of.hidden_rows  # more, never less
        if of.rows:
            yield "missing_share", of.hidden_rows / of.rows
    if of.numbers:
        yield from of.numbers.margins.items()
        moved = of.numbers.moved
        if moved.joined or moved.left:
            rows = moved.joined + moved.left
            yield from dict.fromkeys(("missing", "outside", "count"), rows).items()
            if of.rows:
                yield "missing_share", rows / of.rows


def _absent(of: VariableFigures, values: dict[str, Any], nobody: Set[str]) -> dict[str, str]:
    """A reason for each figure that is null, by its name in JSON."""
    reasons = {
        "declared": "nothing is declared",
        "association": of.tells.reason,
        "association_chance": of.tells.reason,
        "mark_association": of.marks.reason,
        "mark_chance": of.marks.reason,
        "missing_share": _NOT_GIVEN if nobody & {"missing", "rows"} else _OTHER_ROWS,
        "missing_spread": _FEW_SITES,
        "mean_spread": _FEW_SITES,
        "category_spread": _FEW_SITES,
    } | dict.fromkeys(("categories", "unknown"), _NOT_GIVEN)
    if of.is_single:
        reasons |= dict.fromkeys(("categories", "unknown"), _ONE_SITE)
    elif of.numbers:
        reasons |= of.numbers.absent
    other = _ONE_SITE if of.is_single else _TOO_COARSE
    if of.numbers and not of.numbers.count and not of.is_single:
        other = _NO_VALUES
    spread = values.get("mean_spread")
    inner = {f"mean_spread.{k}": _TOO_FINE for k, v in (spread or {}).items() if v is None}
    absent = {name: reasons.get(name) or other for name, value in values.items() if value is None}
    return absent | inner
