"""What a client writes down for itself: findings, failures in full, its own losses.

Nothing here is sent. On a site it goes to that site's log; in simulation the engine's observer
listens in. The protocol works the same whether anybody does.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

log = logging.getLogger(__name__)

NoteKind = Literal["data", "finding", "train", "evaluate", "test", "failure", "refusal"]


@dataclass(frozen=True)
class Note:
    """One entry; `fields` are JSON values and never a row of data."""

    kind: NoteKind
    fields: dict[str, Any] = field(default_factory=dict)


_listener: ContextVar[list[Note] | None] = ContextVar("journal_listener", default=None)


def write(kind: NoteKind, **fields: Any) -> None:  # noqa: ANN401 - JSON values
    """Write an entry."""
    notes = _listener.get()
    if notes is not None:
        notes.append(Note(kind, fields))
    log.debug("%s %s", kind, fields)


@contextmanager
def listening() -> Iterator[list[Note]]:
    """Collect what is written inside the block."""
    notes: list[Note] = []
    token = _listener.set(notes)
    try:
        yield notes
    finally:
        _listener.reset(token)
