"""Looks on from outside at what single simulated clients do, and writes it down.

It influences nothing and does not exist in deployment: the protocol shows a server only sums.
"""

import logging

from calyx.files.plain import append_lines
from calyx.machine.spans import span
from calyx.questions.registry import questions
from calyx.run.folder import RunFolder
from calyx.run.json_rows import as_json, gather
from calyx.run.rows import ClientRow, Event, make_event
from calyx.simulation.clients import Account
from calyx.vector.figures import finite_row
from calyx.words.sentences import join_names
from client.journal import Note

log = logging.getLogger(__name__)

_EVENTS = {"finding": "finding", "coded": "coded", "refusal": "client-refused"}


class Observer:
    """Turns clients' journals into clients.jsonl, and findings and failures into events.jsonl."""

    def __init__(self, folder: RunFolder, *, resume: bool = False) -> None:
        self._folder = folder
        self._rows: list[ClientRow] = []
        self._events: list[Event] = []
        self._told: set[str | None] = set()  # clients whose row `data` is written, or will be
        self._said: set[tuple[str | None, str]] = set()
        if resume:
            self._told = {row.client for row in folder.read_clients() if row.kind == "data"}
            of_rows = (one for one in folder.read_events() if one.event in ("finding", "coded"))
            self._said = {(one.client, one.message) for one in of_rows}
        self._failures: dict[str, list[str]] = {}  # clients by what they said, since the last flush

    def on_answer(self, client: str, account: Account) -> None:
        """Note what a client wrote in its journal while it worked on one message."""
        for note in account.notes:
            self.note(client, note, account.seconds)

    def knows(self, client: str) -> bool:
        """Whether the client has read its rows, in this run or before it was resumed."""
        return client in self._told

    def on_progress(self, kind: str, done: int, total: int) -> None:
        """Write the rows of a stage when its last client is done."""
        if done == total:
            self.flush()

    def note(self, client: str, note: Note, seconds: float = 0.0) -> None:
        """Take one entry of a client's journal; what it says of its rows once, whichever worker read them."""
        fields, question = finite_row(note.fields), questions().get(note.kind)
        if note.kind == "data":
            if client in self._told:
                return
            self._told.add(client)
            seconds = 0.0  # of no answer
        # Of a fold's training nothing is shown: the run's own is.
        if question and (question.model == "none" or (question.is_of_round and "fold" in fields)):
            return
        if question or note.kind == "data":
            own = {"kind": note.kind, "client": client, "seconds": round(seconds, 4)}
            self._rows.append(ClientRow(**gather(ClientRow, {"round": 0} | fields | own)))
            return
        message = str(fields.pop("message"))
        if (client, message) in self._said:
            return
        self._said.add((client, message))
        event = _EVENTS.get(note.kind, "client-failed")
        if note.kind in ("failure", "refusal"):
            self._failures.setdefault(message, []).append(client)
        severity = fields.pop("severity", "error")
        self._events.append(make_event(event, severity, message, client=client, **fields))

    def flush(self) -> None:
        """Write what was seen so far, sorted, so that the order of arrival leaves no trace.

        What clients failed by is said on the screen, too: once, whatever the round. Nothing is synced: a loss
        of power may take the lines of the last seconds with it, of which no figure of a run is made.
        """
        for message, clients in sorted(self._failures.items()):
            log.warning("%s: %s", join_names(sorted(clients)), message)
        self._failures = {}
        with span("write"):
            self._write()
        self._rows, self._events = [], []

    def _write(self) -> None:
        if self._events:
            events = map(as_json, sorted(self._events, key=_client))
            append_lines(self._folder.events, events, is_synced=False)
        if self._rows:
            rows = map(as_json, sorted(self._rows, key=_client))
            append_lines(self._folder.clients, rows, is_synced=False)


def _client(row: ClientRow | Event) -> str:
    return str(row.client)
