"""An audit on the terminal: what is wrong, what to do, and the columns over all sites."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from calyx.digits import ABSENT, mean_text, percent, share, with_spread
from calyx.errors import printable

STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}
MOST_COLUMNS = 24


def print_audit(audit: Mapping[str, Any], folder: Path) -> None:
    """Print what was found; `folder` is the run's."""
    console = Console(highlight=False)
    console.print()
    sites, rows = audit["sites"], audit["rows"]
    twice = f", {audit['duplicates_share']:.1%} twice" if audit["duplicates"] else ""
    head = f"{rows} rows of {sites} sites{twice}, seen as sums over sites"
    console.print(Text(head, style="bold"))
    console.print(_findings(audit))
    console.print(_columns(audit))
    more = len(audit["columns"]) - MOST_COLUMNS
    if more > 0:
        console.print(f"and {more} more columns in the report", style="dim")
    differing = [d for d in audit.get("drift") or [] if d["severity"] in ("warning", "alert")]
    for drift in differing:
        name = printable(str(drift["name"]), 60)
        console.print(f"drift   {name}: PSI {drift['psi']:.2f} ({drift['severity']})")
    console.print(f"audit   {folder / 'audit.json'}", soft_wrap=True)


def _findings(audit: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for finding in audit["findings"]:
        severity = str(finding["severity"])
        text = Text(printable(str(finding["message"]), 400))
        if severity != "info":
            text.append(f" {printable(str(finding['advice']), 400)}", style="dim")
        table.add_row(Text(severity, style=STYLES.get(severity, "")), text)
    if not audit["findings"]:
        table.add_row(Text("sound", style="green"), "Nothing was found.")
    return table


def _columns(audit: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("column")
    table.add_column("missing", justify="right")
    table.add_column("mean ± sd", justify="right")
    table.add_column("median", justify="right")
    table.add_column("outliers", justify="right")
    table.add_column("label", justify="right")  # what it tells of the label
    for name, column in list(audit["columns"].items())[:MOST_COLUMNS]:
        mean, sd, median = (column.get(key) for key in ("mean", "sd", "median"))
        tells, far = column["association"], column.get("outlier_share")
        table.add_row(
            Text(printable(str(name), 40)),
            percent(column["missing_share"], "%") if column["missing"] else "–",
            ABSENT if mean is None or sd is None else mean_text(mean, sd),
            ABSENT if median is None else with_spread(median, sd or 0.0),
            percent(far, "%") if far else "–",
            ABSENT if tells is None else share(tells, least=2),
        )
    return table
