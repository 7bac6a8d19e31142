"""The section "The data" of a run's page, from audit.json.

Everything is read as untrusted: text is escaped by the template, numbers are checked.
"""

from dataclasses import dataclass

from markupsafe import Markup

from calyx.pages.scales import shorten
from calyx.run.audit import Audit, ColumnRow
from calyx.words import digits
from calyx.words.digits import percent_text

MOST_COLUMNS = 200  # in the table
OPEN_COLUMNS = 40  # before the rest is folded
FINE = (
    0.01  # of the standard deviation: a figure that is right to so much is shown without its margin
)
_PICTURE = (132, 34)  # of a histogram, in pixels


@dataclass(frozen=True)
class Line:
    """A column as the table shows it."""

    name: str
    unit: str
    missing: str
    share: float  # 0 … 100
    uneven: str
    value: str  # mean ± sd and median, or the commonest category
    range: str
    association: str
    why: str  # there is no association; empty where there is one
    picture: Markup


def lines(audit: Audit) -> list[Line]:
    """The first columns of the table."""
    return [_line(name, column) for name, column in list(audit.columns.items())[:MOST_COLUMNS]]


def _line(name: str, of: ColumnRow) -> Line:
    spread = of.missing_spread
    value = "—"
    if of.mean is not None:
        moments = f"{_within(of, 'mean', of.mean)} ± {_within(of, 'sd', of.sd)}"
        value = f"{moments}, median {_within(of, 'median', of.median)}"
    elif of.categories:
        most = max(of.categories.items(), key=lambda item: item[1])[0]
        word = shorten(most, 40)
        value = f"{len(of.categories)} categories, most often {word}"
        if of.hidden_rows:
            value = f"{len(of.categories)} categories, {of.hidden_rows} rows of hidden ones"
            value += f", of the others most often {word}" if of.categories[most] else ""
    shown = _range(of)
    if of.outside:
        shown += f", {of.outside} outside"
    if of.outlier_share or of.margins.get("outlier_share"):
        shown += f", {_part(of, 'outlier_share', of.outlier_share)} of the rows far out"
    if of.unknown:
        shown = f"{of.unknown} unknown"
    return Line(
        name=name,
        unit=of.unit,
        missing=_missing(of),
        share=100 * (of.missing_share or 0.0),
        uneven=f"sd {percent_text(spread.sd)}" if spread and spread.sd >= 0.05 else "",
        value=value,
        range=shown,
        association=_describe_association(of),
        why="" if of.association is not None else of.absent.get("association", ""),
        picture=bars(list(of.histogram or (of.categories or {}).values())),
    )


def _range(of: ColumnRow) -> str:
    """What is declared: how far sums of a target reach is nobody's declaration."""
    if of.range is None:
        return "—"
    ends = of.range if of.role != "target" else (of.declared or ())
    known = ["" if end is None else digits.plain(float(end)) for end in ends]
    return f"{known[0]} … {known[1]}".strip() if len(known) == 2 else "—"


def _within(of: ColumnRow, key: str, value: float | None) -> str:
    """A figure with its margin, or a dash; margins far finer than the values vary are not shown."""
    if value is None:
        return "—"
    margin, sd = of.margins.get(key, 0.0), of.sd or 0.0
    within = "" if margin <= FINE * sd else f" (within {digits.with_spread(margin, margin)})"
    return digits.with_spread(value, margin if of.sd is None else sd) + within


def _missing(of: ColumnRow) -> str:
    """Rows without a value; "none" only where all sites could tell of one."""
    if of.missing is None:
        return "—"
    if not of.missing and not of.margins.get("missing"):
        return "none"
    return f"{of.missing} ({_part(of, 'missing_share', of.missing_share)})"


def _part(of: ColumnRow, key: str, value: float | None) -> str:
    """A share of the rows, with its margin."""
    if value is None:
        return "—"
    margin = min(of.margins.get(key, 0.0), 1.0)
    return percent_text(value) + (f", within {percent_text(margin)}" if margin else "")


def _describe_association(of: ColumnRow) -> str:
    """What a column tells of the label, its mark for missing values too, and what chance gives."""
    parts = []
    for key, word, value, chance in (
        ("association", "", of.association, of.association_chance),
        ("mark_association", "its holes ", of.mark_association, of.mark_chance),
    ):
        if value is not None:
            margin = f" ± {of.margins[key]:.2f}" if of.margins.get(key) else ""
            by_chance = "" if chance is None else f" ({chance:.2f} by chance)"
            parts.append(f"{word}{value:.2f}{margin}{by_chance}")
    return ", ".join(parts) or "—"


def bars(counts: list[int]) -> Markup:
    """A small histogram; nothing but numbers of ours is in it."""
    most = max(counts, default=0)
    if most == 0:
        return Markup("")
    width, height = _PICTURE
    step = width / len(counts)
    bars = [
        f'<rect class="bar federated" x="{i * step + 0.5:.1f}" width="{max(step - 1, 0.5):.1f}" '
        f'y="{height - height * n / most:.1f}" height="{height * n / most:.1f}"/>'
        for i, n in enumerate(counts)
        if n
    ]
    # Numbers only.
    return Markup(  # noqa: S704
        f'<svg class="wide" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'aria-hidden="true">{"".join(bars)}</svg>'
    )


def label_lines(audit: Audit) -> list[tuple[str, int, str]]:
    """The name, the rows and the spread over sites of each class."""
    label_rows = []
    for k, rows in enumerate((audit.labels or ())[:MOST_COLUMNS]):
        name = audit.classes[k] if k < len(audit.classes) else str(k)
        spread = audit.label_spread[k] if k < len(audit.label_spread) else None
        text = f"{percent_text(spread.mean)} ± {percent_text(spread.sd)}" if spread else "—"
        label_rows.append((name, rows, text))
    return label_rows
