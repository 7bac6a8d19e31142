"""Giving masked sums up for good, which clients want proven before they answer for a model again.

`calyx-secagg/1` §5: who signs has erased its shares; with enough signatures a sum can never open.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from flwr.app import Message
from flwr.serverapp import Grid

from calyx.errors import RoundFailed, WireError
from calyx.flower.replies import send_and_wait
from calyx.run.order import Abandoned
from calyx.secagg.keys import verify
from calyx.secagg.roster import Roster
from calyx.wire import messages as wire
from server.exchange.exchange import Exchange
from server.exchange.nodes import Nodes
from server.exchange.plain_sums import by_sender
from server.exchange.underway import MaskedSum, Underway


@dataclass(frozen=True)
class Given:
    """Proofs by context, complete or not, and what asking for them cost."""

    proofs: dict[bytes, Abandoned]
    bytes_up: int
    bytes_down: int


class GivingUp:
    """Asks clients to erase their shares."""

    def __init__(self, grid: Grid, nodes: Nodes, roster: Roster, deadline_s: float) -> None:
        self._grid, self._nodes, self._roster, self._deadline_s = grid, nodes, roster, deadline_s

    def ask(self, sums: Collection[MaskedSum], silent: Collection[str]) -> Given:
        """Have the members of these sums give them up; `silent` ones are not asked."""
        contents = {
            name: wire.stage_content(one.ctx, b"")
            for one in sums
            for name in one.members
            if name in self._nodes and name not in silent
        }
        sent = {n: Message(c, self._nodes[n], wire.ABANDON_TYPE) for n, c in contents.items()}
        replies = send_and_wait(self._grid, sent.values(), self._deadline_s)
        found = {n: m for n, m in by_sender(sent, replies).items() if m.has_content()}
        return Given(
            {one.ctx: self._proof(one, found) for one in sums},
            bytes_up=sum(wire.payload_bytes(m.content) for m in found.values()),
            bytes_down=sum(map(wire.payload_bytes, contents.values())),
        )

    def _proof(self, one: MaskedSum, replies: dict[str, Message]) -> Abandoned:
        signatures = {}
        for name in one.members:
            try:
                ctx, body = wire.read_stage(replies[name])
            except (KeyError, WireError):
                continue
            key = self._roster.key(self._roster.indices[name])
            if ctx == one.ctx and verify(key, body, "abandon", ctx, one.root):
                signatures[name] = body.hex()
        return Abandoned(ctx=one.ctx.hex(), root=one.root.hex(), signatures=signatures)

    def take_up(self, exchange: Exchange, underway: Underway) -> Exchange:
        """The exchange as it must be asked for now, if an earlier server has begun it.

        A sum that was being opened is opened; one that was not is given up, and the next attempt
        begins. Raises RoundFailed where neither is possible.
        """
        record = underway.of(exchange)
        if record is None:
            return exchange
        again = replace(exchange, groups=record.groups, abandoned=record.abandoned)
        if record.opening and underway.is_bound(record):
            return replace(again, attempt=record.attempt)
        proofs = self.ask(record.masked, ()).proofs if record.masked else {}
        for one in record.masked:
            signed = len(proofs[one.ctx].signatures)
            if signed < one.needed:
                raise RoundFailed(
                    f"{signed} of {one.needed} clients gave up the sum of round {exchange.round} "
                    "that was under way, too few to ask for it again"
                )
        return replace(
            again,
            attempt=record.attempt + 1,
            abandoned=(*record.abandoned, *proofs.values()),
        )
