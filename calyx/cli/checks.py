"""What `calyx doctor` finds, and how it shows it."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calyx.errors import CalyxError, quote_command

_SIGNS = {"ok": ("✓", "green"), "note": ("•", "yellow"), "problem": ("✗", "red")}


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
    except CalyxError as error:
        return Check(what, "problem", str(error), mend)
    except OSError as error:
        where = f"{error.filename} cannot be used: " if error.filename else ""
        return Check(what, "problem", f"{where}{error.strerror or error}.", mend)


def private_folder(what: str, folder: Path, least_bytes: int) -> Check:
    """Whether a folder, which need not be there yet, can be written and is its owner's alone.

    Nothing is left in it. Raises OSError.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        return Check(what, "problem", f"{there} is no folder", f"move it away, or change {what}")
    if there == folder and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Check(
            what, "problem", f"others may look into {folder}", quote_command("chmod", "700", folder)
        )
    try:
        if there == folder:
            tempfile.TemporaryFile(dir=folder).close()
        elif not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(0, "Permission denied")
    except OSError as error:
        state = f"{there} cannot be written ({error.strerror})"
        return Check(what, "problem", state, "see its owner, its disk, and who runs this")
    free = shutil.disk_usage(there).free
    state = f"{folder}{'' if there == folder else ' will be made'}: {free / 2**30:.1f} GiB free"
    if free < least_bytes:
        return Check(what, "problem", state, f"free some space, or change {what}")
    return Check(what, "ok", state)


def show(checks: Iterable[Check], sound: str) -> int:
    """Print a table and a verdict, which is `sound` if there is no problem; the exit code."""
    checks = list(checks)
    console = Console(highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for check in checks:
        sign = Text(*_SIGNS[check.state])
        text = Text(check.found)
        if check.mend:
            text.append(f"\n→ {check.mend}", style="yellow")
        table.add_row(sign, check.what, text)
    console.print(table)
    problems = sum(check.state == "problem" for check in checks)
    console.print()
    console.print(sound if not problems else f"{problems} problem(s): see → above.")
    return 1 if problems else 0
