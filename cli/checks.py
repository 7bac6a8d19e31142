"""What `calyx doctor` finds, and how it shows it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calyx.errors import CalyxError


@dataclass(frozen=True)
class Check:
    """One look at something. `mend` is empty where nothing is wrong."""

    what: str
    state: Literal["ok", "note", "problem"]
    found: str
    mend: str = ""


def attempt(what: str, look: Callable[[], Check], mend: str = "") -> Check:
    """What `look` finds; a sentence that it raises is a problem."""
    try:
        return look()
    except (CalyxError, OSError) as error:
        return Check(what, "problem", str(error), mend)


def show(checks: Iterable[Check], sound: str) -> int:
    """Print a table and a verdict, which is `sound` if there is no problem; the exit code."""
    checks = list(checks)
    console = Console()
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for check in checks:
        sign = {"ok": "[green]✓[/]", "note": "[yellow]•[/]", "problem": "[red]✗[/]"}[check.state]
        text = Text(check.found)
        if check.mend:
            text.append(f"\n→ {check.mend}", style="yellow")
        table.add_row(sign, check.what, text)
    console.print(table)
    problems = sum(check.state == "problem" for check in checks)
    console.print()
    console.print(sound if not problems else f"{problems} problem(s): see → above.")
    return 1 if problems else 0
