"""What a client writes down for itself: findings, failures in full, its own losses.

Nothing here is sent. On a site it goes to events.jsonl in that site's own folder; in simulation
the engine's observer listens in. The protocol works the same whether anybody does.
See docs/decisions/0005.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calyx.errors import printable
from calyx.files.plain import append_lines
from calyx.vector.figures import finite_row

log = logging.getLogger(__name__)

_MAX_BYTES = 32 * 2**20  # of the file, and of an older one; a server can cause lines


@dataclass(frozen=True)
class Note:
    """One entry; `fields` are JSON values and never a row of data."""

    kind: str  # of a question, or another word: "data", "finding", "failure", "refusal" …
    fields: dict[str, Any] = field(default_factory=dict)


_listener: ContextVar[list[Note] | None] = ContextVar("journal_listener", default=None)
_folder: ContextVar[Path | None] = ContextVar("journal_folder", default=None)


def write(kind: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
    """Write an entry."""
    notes = _listener.get()
    if notes is not None:
        notes.append(Note(kind, fields))
    folder = _folder.get()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = {key: _cut(value) for key, value in finite_row(fields).items()}
        path = folder / "events.jsonl"
        if path.exists() and path.stat().st_size > _MAX_BYTES:
            path.replace(folder / "events.1.jsonl")
        append_lines(path, [{"time": now, "event": kind} | row])
    log.debug("%s %s", kind, fields)


def _cut(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """A value as it is written: without what a server could flood a terminal by."""
    return printable(value) if isinstance(value, str) else value


def keep_in(folder: Path | None) -> None:
    """Write to this site's folder from now on; to none in simulation."""
    _folder.set(folder)


@contextmanager
def collect_notes(notes: list[Note] | None = None) -> Iterator[list[Note]]:
    """Collect what is written inside the block, behind `notes` where there are some already."""
    notes = [] if notes is None else notes
    token = _listener.set(notes)
    try:
        yield notes
    finally:
        _listener.reset(token)
