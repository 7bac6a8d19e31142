"""Where a client keeps a context between its stages: in its process, or in a simulation's hands.

`calyx-secagg/1` §5: on a site secrets never leave the process, so that a crash is a dropout. Nor do
those of a simulated client that lives in one worker. Where none lives anywhere, as on Ray, they are
throw-away and ride in `Context.state`, from which they are erased when the stages are done.
See docs/decisions/0010.
"""

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from flwr.app import ConfigRecord, Context

from calyx.secagg.session import Session, from_bytes
from client.config import Site
from client.context import LivingContext
from client.gate.ledger import Ledger, from_text, open_ledger
from client.gate.tombstones import Answers

_SESSION, _LEDGER = "secagg-session", "secagg-ledger"  # in Flower's state, and of a living context


@dataclass(frozen=True)
class Open:
    """A context that is under way, and what its tombstone will say."""

    session: Session
    run: str  # Calyx's own id
    training: int  # its round; 0 for any other kind of order
    roster: str  # digest of the one that the context is bound to; a new one ends it
    answers: Answers
    gone: tuple[str, ...]  # contexts that were given up for it
    expires: float  # seconds since the epoch; a later message is refused
    patience: float  # seconds that each reply adds to that


# By node and run, so that a run has one open context, even if its server was started again.
_open: dict[tuple[int, str], Open] = {}
_MAX_OPEN = 8  # runs of a node at a time; the oldest is forgotten


class Memory:
    """One client's open context and ledger."""

    def __init__(self, context: Context, site: Site) -> None:
        self._context, self._is_site = context, site.state_dir is not None
        self._node = context.node_id
        self._folder = site.state_dir
        self._kept: dict[str, Any] | None = None
        if isinstance(context, LivingContext) and not self._is_site:
            self._kept = context.kept

    @cached_property
    def ledger(self) -> Ledger:
        """What this client has done."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return open_ledger(self._folder / "ledger.jsonl")
        if self._kept is not None:
            ledger: Ledger = self._kept.setdefault(_LEDGER, Ledger())
            return ledger
        kept = self._record(_LEDGER)
        return from_text(str(kept["text"])) if kept else Ledger()

    def load(self, ctx: bytes) -> Open | None:
        """The open context `ctx`, if there is one."""
        opened: Open | None
        if self._kept is not None:
            opened = self._kept.get(_SESSION)
        else:
            opened = self._find(ctx) if self._is_site else self._unpack()
        return opened if opened is not None and opened.session.ctx == ctx else None

    def _find(self, ctx: bytes) -> Open | None:
        mine = [opened for (node, _), opened in _open.items() if node == self._node]
        return next((opened for opened in mine if opened.session.ctx == ctx), None)

    def _unpack(self) -> Open | None:
        record = self._record(_SESSION)
        if record is None:
            return None
        session, rest = record["session"], json.loads(str(record["rest"]))
        if not isinstance(session, bytes):
            raise TypeError("a session is kept as bytes")
        keys, folds, data = rest["answers"]
        answers = Answers(tuple(keys), tuple(folds), str(data))
        head = (from_bytes(session), str(rest["run"]), int(rest["training"]), str(rest["roster"]))
        return Open(*head, answers, tuple(rest["gone"]), *rest["times"])

    def keep(self, opened: Open) -> None:
        """Remember a context, and what the ledger now says; the run's earlier one is gone."""
        if self._is_site:
            _open.pop((self._node, opened.run), None)
            _open[self._node, opened.run] = opened
            mine = [key for key in _open if key[0] == self._node]
            for oldest in mine[:-_MAX_OPEN]:
                del _open[oldest]
            return
        if self._kept is not None:
            self._kept[_SESSION] = opened
            return
        rest = {
            "run": opened.run,
            "roster": opened.roster,
            "training": opened.training,
            "answers": [opened.answers.keys, opened.answers.folds, opened.answers.data],
            "gone": opened.gone,
            "times": [opened.expires, opened.patience],
        }
        record = ConfigRecord({"session": opened.session.to_bytes(), "rest": json.dumps(rest)})
        self._context.state[_SESSION] = record
        self.save_ledger()

    def finish(self, opened: Open) -> None:
        """All is revealed: a simulation forgets the context, a site keeps its last reply only.

        A server that was started again may ask for it once more, at any time.
        """
        if self._is_site:
            self.keep(replace(opened, expires=math.inf))
        else:
            self.erase(opened)

    def erase(self, opened: Open | None) -> None:
        """Forget a context; only the ledger remains."""
        if opened is not None:
            _open.pop((self._node, opened.run), None)
        if self._kept is not None:
            self._kept.pop(_SESSION, None)
        elif not self._is_site:
            self._context.state.pop(_SESSION, None)
            self.save_ledger()

    def _record(self, key: str) -> ConfigRecord | None:
        record = self._context.state.get(key)
        return record if isinstance(record, ConfigRecord) else None

    def save_ledger(self) -> None:
        """Remember what the ledger now says: a site's is on disk, and one that lives needs nothing."""
        travels = not self._is_site and self._kept is None
        if travels and "ledger" in vars(self) and self.ledger.is_changed:
            self._context.state[_LEDGER] = ConfigRecord({"text": self.ledger.to_text()})

    def stub(self, opened: Open) -> None:
        """Keep of a dead context what signing its abandonment needs: no secret is in it."""
        session = opened.session
        session.erase()
        self.keep(replace(opened, session=session))
