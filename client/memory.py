"""Where a client keeps a context between its stages: in its process, or in a simulation's hands.

`calyx-secagg/1` §5: on a site secrets never leave the process, so that a crash is a dropout. A
simulation's clients have no process of their own; theirs are throw-away and ride in
`Context.state`, from which they are erased when the stages are done.
"""

from dataclasses import dataclass, replace

from flwr.app import ConfigRecord, Context

from calyx.secagg.session import Session, Value, from_record
from client.config import Site
from client.ledger import Ledger, from_text, open_ledger

_SESSION, _LEDGER = "secagg-session", "secagg-ledger"
_OURS = ("keys", "gone", "expires", "patience")


@dataclass(frozen=True)
class Open:
    """A context that is under way, and what its tombstone will say."""

    session: Session
    keys: tuple[str, ...]  # of the ledger: which models the vector answers
    gone: tuple[str, ...]  # contexts that were given up for it
    expires: float  # seconds since the epoch; a later message is refused
    patience: float  # seconds that each reply adds to that


_open: dict[tuple[int, int], Open] = {}  # one context a node of this process


class Memory:
    """One client's open context and ledger."""

    def __init__(self, context: Context, site: Site) -> None:
        self._context, self._is_site = context, site.state_dir is not None
        self._node = (context.run_id, context.node_id)
        if site.state_dir is not None:
            site.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.ledger = open_ledger(site.state_dir / "ledger.jsonl")
        else:
            kept = context.state.config_records.get(_LEDGER)
            self.ledger = from_text(str(kept["text"])) if kept else Ledger()

    def load(self) -> Open | None:
        """The open context, if any."""
        if self._is_site:
            return _open.get(self._node)
        record = self._context.state.config_records.get(_SESSION)
        if record is None:
            return None
        values: dict[str, Value] = dict(record)  # type: ignore[arg-type]  # we wrote it
        session = from_record({k: v for k, v in values.items() if k not in _OURS})
        keys, gone = _texts(values["keys"]), _texts(values["gone"])
        expires, patience = float(str(values["expires"])), float(str(values["patience"]))
        return Open(session, keys, gone, expires, patience)

    def keep(self, opened: Open) -> None:
        """Remember a context, and what the ledger now says."""
        if self._is_site:
            _open[self._node] = opened
            return
        record = opened.session.to_record() | {
            "keys": " ".join(opened.keys),
            "gone": " ".join(opened.gone),
            "expires": opened.expires,
            "patience": opened.patience,
        }
        self._context.state[_SESSION] = ConfigRecord(record)  # type: ignore[arg-type]  # plain values
        self._context.state[_LEDGER] = ConfigRecord({"text": self.ledger.to_text()})

    def erase(self) -> None:
        """Forget the context; only the ledger remains."""
        _open.pop(self._node, None)
        if not self._is_site:
            self._context.state.pop(_SESSION, None)
            self._context.state[_LEDGER] = ConfigRecord({"text": self.ledger.to_text()})

    def stub(self, opened: Open) -> None:
        """Keep of a dead context what signing its abandonment needs: no secret is in it."""
        session = opened.session
        session.erase()
        self.keep(replace(opened, session=session))


def _texts(value: Value) -> tuple[str, ...]:
    return tuple(str(value).split())
