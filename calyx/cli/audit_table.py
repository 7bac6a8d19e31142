"""An audit on the terminal: what is wrong, what to do, and the columns over all sites."""

from collections.abc import Iterator
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from calyx.errors import printable
from calyx.run.audit import Audit, ColumnRow
from calyx.words.digits import ABSENT as NOT_TOLD
from calyx.words.digits import percent_text, share, with_spread
from calyx.words.sentences import list_first

_NAMED = 4  # columns in one sentence
_FIGURES = {  # that are named where they are not told
    "missing_share": "share of missing values",
    "mean": "mean",
    "median": "median",
    "outlier_share": "share of outliers",
    "association": "what it tells of the label",
    "mark_association": "what its holes tell of it",
    "category_spread": "how sites differ",
    "mean_spread": "how sites differ",
}
_NO_FIGURE = (  # nothing is missing by these
    "no value is missing",
    "models get no mark of it",
    "it is the target itself",
)
_FINE = 0.01
STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}
MOST_COLUMNS = 24


def print_audit(audit: Audit, folder: Path) -> None:
    """Print what was found; `folder` is the run's."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.print()
    rows, share = audit.rows, audit.duplicates_share
    known = f"{audit.duplicates} rows" if share is None else percent_text(share, "%")
    more = int(audit.margins.get("duplicates", 0))
    known += f" and up to {more} hidden rows" if more else ""
    twice = f", {known} twice" if audit.duplicates or more else ""
    number = "an unknown number of" if rows is None else rows
    head = f"{number} rows of {audit.sites} sites{twice}, seen as sums over sites"
    console.print(Text(head, style="bold"))
    console.print(_findings(audit))
    _print_whole(console, _columns(audit))
    more = len(audit.columns) - MOST_COLUMNS
    if more > 0:
        console.print(f"and {more} more columns in the report", style="dim")
    console.print(
        "label: what values, and marks for missing ones, tell of it; in brackets what chance gives",
        style="dim",
    )
    for line in _not_told(audit):
        console.print(f"unknown {line}", style="dim", soft_wrap=True)
    for drift in audit.drift or ():
        if drift.severity == "none":
            continue
        name, psi = printable(drift.name, 60), drift.psi
        name = "the label" if drift.role == "label" else name
        known, chance = NOT_TOLD if psi is None else f"{psi:.2f}", drift.psi_chance
        if psi is not None and chance is not None:
            known += f", {chance:.2f} by chance"
        console.print(f"drift   {name}: PSI {known} ({drift.severity})")
    console.print(f"audit   {folder / 'audit.json'}", soft_wrap=True)


def _not_told(audit: Audit) -> Iterator[str]:
    """What is not measured, so that it does not look sound: one line a figure."""
    names: dict[str, list[str]] = {}
    for column, of in audit.columns.items():
        for key, reason in of.absent.items():
            if key in _FIGURES and _is_measured(of) and not reason.startswith(_NO_FIGURE):
                names.setdefault(_FIGURES[key], []).append(printable(column, 40))
    bare = [printable(n, 40) for n, of in audit.columns.items() if not _is_measured(of)]
    if bare:
        names["all but holes, since no range is declared"] = bare
    for figure, columns in names.items():
        yield f"{figure}: {list_first(list(dict.fromkeys(columns)), _NAMED)} (audit.json says why)"


def _is_measured(column: ColumnRow) -> bool:
    """Whether more than holes is counted: within a declared range, or as far as a target's sums reach."""
    return bool(column.declared or column.range)


def _findings(audit: Audit) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for finding in audit.findings:
        text = Text(printable(finding.message, 400))
        if finding.severity != "info":
            text.append(f" {printable(finding.advice, 400)}", style="dim")
        table.add_row(Text(finding.severity, style=STYLES[finding.severity]), text)
    if not audit.findings:
        table.add_row(Text("sound", style="green"), "Nothing was found.")
    return table


def _columns(audit: Audit) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("column")
    table.add_column("missing", justify="right")
    table.add_column("mean ± sd, or shares", justify="right")
    table.add_column("median", justify="right")
    table.add_column("outliers", justify="right")
    table.add_column("label", justify="right")  # what it tells of the label
    for name, column in list(audit.columns.items())[:MOST_COLUMNS]:
        mean, sd, median = (_within(column, key) for key in ("mean", "sd", "median"))
        value = NOT_TOLD if column.mean is None else f"{mean} ± {sd}"
        table.add_row(
            Text(printable(name, 40)),
            _part(column, "missing_share"),
            _shares(column, audit.rows or 0) if column.categories else value,
            median,
            _part(column, "outlier_share"),
            _describe_association(column),
        )
    return table


def _print_whole(console: Console, table: Table) -> None:
    """The table, or, in a terminal so narrow that it would cut words, a line for each of its rows."""
    heads = [str(column.header) for column in table.columns]
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    with console.capture() as captured:
        console.print(table)
    if captured.get().count("…") <= sum(text.count("…") for column in cells for text in column):
        console.print(table)
        return
    for name, *figures in zip(*cells, strict=True):
        pairs = zip(heads[1:], figures, strict=True)
        console.print(Text(f"{name}: " + "; ".join(f"{head} {text}" for head, text in pairs)))


def _within(column: ColumnRow, key: str) -> str:
    """A figure, and how far it may be off where that is more than a hundredth of the deviation."""
    value, margin = getattr(column, key), column.margins.get(key, 0.0)
    if value is None:
        return NOT_TOLD
    sd = column.sd or 0.0
    step = margin if column.sd is None else sd
    text, is_fine = with_spread(value, step), margin <= _FINE * sd
    return text if is_fine else f"{text} (within {with_spread(margin, margin)})"


def _part(column: ColumnRow, key: str) -> str:
    """A share of the rows, and how far it may be off."""
    value, margin = getattr(column, key), column.margins.get(key, 0.0)
    if value is None:
        return NOT_TOLD
    within = f" (within {percent_text(min(margin, 1.0), '%')})" if margin else ""
    return percent_text(value, "%") + within


def _shares(column: ColumnRow, rows: int) -> Text:
    """The commonest category that is shown, and what is hidden."""
    words, hidden = column.categories or {}, column.hidden_rows or 0
    most = max(words, key=lambda word: words[word])
    text = (
        f"{printable(most, 20)} {percent_text(words[most] / max(1, rows), '%')}"
        if words[most]
        else NOT_TOLD
    )
    return Text(text + (f", hidden {percent_text(hidden / max(1, rows), '%')}" if hidden else ""))


def _describe_association(column: ColumnRow) -> str:
    """What a column tells of the label, by its values and by its mark for missing ones."""
    parts = []
    for key, chance_key, word in (
        ("association", "association_chance", ""),
        ("mark_association", "mark_chance", "mark "),
    ):
        value, chance = getattr(column, key), getattr(column, chance_key)
        if value is not None:
            margin = column.margins.get(key)
            off = f" ± {margin:.2f}" if margin else ""
            parts.append(
                f"{word}{share(value, least=2)}{off}" + (f" ({chance:.2f})" if chance else "")
            )
    return ", ".join(parts) or NOT_TOLD
