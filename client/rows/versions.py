"""What a site remembers of the last version of its rows, so that it sees what a new one changes.

One file in its state folder, for its owner's eyes (0600) and never sent: it holds quantiles of the
site's own rows. A simulation keeps nothing.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from calyx.config.section import NonNegativeInt, config, parse
from calyx.errors import ConfigError
from calyx.files.foreign import read_object
from calyx.files.plain import strict_json, write_atomically
from calyx.inspection.references import Reference, reference_of
from client import journal
from client.rows.data import Rows

FILE = "reference.json"
_MAX_BYTES = 64 * 2**20
_MODE = 0o600


@config
class Version(Reference):
    """A version of a task's rows: which, and what the next one is held against."""

    version: str  # digest of the rows
    missing: dict[str, float]
    rows: NonNegativeInt


def last_version(folder: Path, task: str) -> Version | None:
    """The last version of a task's rows that this site was audited with; None before the first.

    A damaged file is a finding, and counts as none.
    """
    kept = _read(folder / FILE)
    if kept is not None and task not in kept:
        return None
    try:
        if kept is not None:
            return parse(Version, kept[task], task)
    except ConfigError:
        pass  # as damaged as a file that is no JSON
    message = f"{folder / FILE} is damaged: this version of the rows is compared with none."
    journal.write(
        "finding", check="reference", severity="warning", column=None, count=0, message=message
    )
    return None


def keep_version(folder: Path, rows: Rows) -> None:
    """Remember these rows as the last version of their task; those of other tasks stay."""
    kept = _read(folder / FILE) or {}
    reference = reference_of(rows.table, rows.task.schema)
    kept[rows.task.name] = {"version": rows.version} | asdict(reference)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(folder / FILE, strict_json(kept).encode(), _MODE)


def _read(path: Path) -> dict[str, Any] | None:
    """The file's object, by task; None for a damaged one."""
    if not path.exists():
        return {}
    try:
        return read_object(path, _MAX_BYTES)
    except (OSError, ValueError):
        return None
