"""Giving masked sums up for good, which clients want proven before they answer for a model again.

`calyx-secagg/1` §5: who signs has erased its shares; with enough signatures a sum can never open.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from flwr.app import Message

from calyx.errors import RoundFailed, WireError
from calyx.run.order import Abandoned
from calyx.secagg.keys import verify
from calyx.secagg.roster import Roster
from calyx.wire import messages as wire
from server.exchange.exchange import Exchange
from server.exchange.sending import Channel
from server.exchange.underway import MaskedSum, Underway
from server.federation import Federation


@dataclass(frozen=True)
class Abandonment:
    """What clients answered who were asked to give sums up, and what asking for it cost."""

    proofs: Mapping[bytes, Abandoned]  # by context; some may have too few signatures
    bytes_up: int
    bytes_down: int


def abandon(
    channel: Channel, roster: Roster, sums: Collection[MaskedSum], silent: Collection[str] = ()
) -> Abandonment:
    """Have the members of these sums erase their shares; `silent` ones are not asked."""
    contents = {
        name: wire.stage_content(one.ctx, b"")
        for one in sums
        for name in one.members
        if name not in silent
    }
    delivery = channel.send(contents, wire.ABANDON_TYPE)
    replies = {name: reply for name, reply in delivery.replies.items() if reply.has_content()}
    return Abandonment(
        proofs={one.ctx: _collect_signatures(one, replies, roster) for one in sums},
        bytes_up=sum(wire.payload_bytes(reply.content) for reply in replies.values()),
        bytes_down=delivery.bytes_down,
    )


def _collect_signatures(
    one: MaskedSum, replies: Mapping[str, Message], roster: Roster
) -> Abandoned:
    signatures = {}
    for name in one.members:
        try:
            ctx, body = wire.read_stage(replies[name])
        except (KeyError, WireError):
            continue
        key = roster.key(roster.indices[name])
        if ctx == one.ctx and verify(key, body, "abandon", ctx, one.root):
            signatures[name] = body.hex()
    return Abandoned(ctx=one.ctx.hex(), root=one.root.hex(), signatures=signatures)


def take_up(federation: Federation, underway: Underway, exchange: Exchange) -> Exchange:
    """The exchange as it must be asked for now, if an earlier server has begun it.

    A sum that was being opened is opened; one that was not is given up, and the next attempt
    begins. Raises RoundFailed where neither is possible.
    """
    record, clients = underway.find(exchange), federation.clients
    if record is None or clients.roster is None:
        return exchange
    again = replace(exchange, groups=record.groups, abandoned=record.abandoned)
    if record.reveals and underway.is_bound(record):
        return replace(again, attempt=record.attempt)
    proofs: Mapping[bytes, Abandoned] = {}
    if record.masked:
        proofs = abandon(clients.channel, clients.roster, record.masked).proofs
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
