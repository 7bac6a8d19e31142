"""A card's inputs as lines of a table, each with how the training's rows were distributed. Pure."""

from dataclasses import dataclass

from markupsafe import Markup

from calyx.pages.data import bars
from calyx.pages.scales import shorten
from calyx.releases.baseline import ColumnBaseline
from calyx.releases.card import Card
from calyx.releases.card_parts import ColumnPart, TargetPart
from calyx.words.digits import plain, with_spread
from calyx.words.sentences import list_first

MOST_CATEGORIES = 12
_UNKNOWN = {
    "other": "another one counts as none of these",
    "missing": "another one counts as missing",
    "refuse": "another one is refused",
}


@dataclass(frozen=True)
class Column:
    """One line: `values` is what may be sent, `seen` what the training's rows had."""

    name: str
    kind: str
    unit: str
    values: str
    note: str  # of what is missing, or not declared
    seen: str
    picture: Markup


def count_columns(card: Card) -> int:
    """How many lines the table of all columns has: an image's pixels are one."""
    pixels = sum(column.kind == "image" for column in card.schema.columns)
    return len(card.schema.columns) - max(0, pixels - 1)


def columns_of(card: Card, most: int) -> list[Column]:
    """The first columns; an image's pixels are one line, since all are alike."""
    seen = {one.name: one for one in card.baseline.columns} if card.baseline else {}
    pixels = [column for column in card.schema.columns if column.kind == "image"]
    others = [column for column in card.schema.columns if column.kind != "image"]
    columns = [_column(column, seen.get(column.name)) for column in others[:most]]
    if pixels:
        image = next((one for one in seen.values() if one.role == "image"), None)
        first = _column(pixels[0], image)
        name = f"{pixels[0].name} … {pixels[-1].name}"
        note = f"{len(pixels)} pixels; the counts are of their mean a row"
        columns.insert(
            0, Column(name, first.kind, first.unit, first.values, note, first.seen, first.picture)
        )
    return columns


def target_of(card: Card) -> Column | None:
    """The line of what a regression estimates."""
    target = card.schema.target
    if target is None:
        return None
    columns = card.baseline.columns if card.baseline else ()
    seen = next((one for one in columns if one.role == "target"), None)
    counts = list(seen.counts) if seen else []
    return Column(target.name, "target", "", _values(target), "", _seen(seen), bars(counts))


def _column(column: ColumnPart, seen: ColumnBaseline | None) -> Column:
    notes = []
    if column.may_be_missing:
        notes.append("may be missing")
    if column.missing_codes:
        notes.append(
            f"{list_first([plain(code) for code in column.missing_codes], 5)} stands for missing"
        )
    if column.categories:
        notes.append(_UNKNOWN[column.unknown])
    note = "; ".join(notes)
    counts = list(seen.counts) if seen else []
    return Column(
        column.name, column.kind, column.unit, _values(column), note, _seen(seen), bars(counts)
    )


def _values(column: ColumnPart | TargetPart) -> str:
    if isinstance(column, ColumnPart) and column.categories:
        words = [shorten(one.word, 40) for one in column.categories]
        return list_first(words, MOST_CATEGORIES)
    low, high = (None if end is None else plain(end) for end in (column.low, column.high))
    if low is not None and high is not None:
        return f"{low} … {high}"
    return (
        f"from {low}" if low is not None else f"up to {high}" if high is not None else "any number"
    )


def _seen(seen: ColumnBaseline | None) -> str:
    """Mean ± deviation of the training's rows; or why nothing is told."""
    if seen is None:
        return "not told"
    if seen.absent:
        return seen.absent
    if seen.mean is not None and seen.sd is not None:
        return f"{with_spread(seen.mean, seen.sd)} ± {with_spread(seen.sd, seen.sd)}"
    hidden = f", {seen.hidden} hidden" if seen.hidden else ""
    return f"{sum(seen.counts)} rows{hidden}"
