"""Sums without encryption: one reply a client, added up here. `privacy=none`."""

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from calyx.errors import CalyxError
from calyx.flower.replies import send_and_wait
from calyx.vector.quantise import FixedPoint, Residues, add
from calyx.wire import messages as wire
from server.exchange.exchange import Collected, Exchange
from server.exchange.nodes import Nodes

Vectors = dict[str, Residues]


class PlainSums:
    """Sends an order to every client of a cohort and adds up the vectors of each group."""

    def __init__(self, grid: Grid, nodes: Nodes, deadline_s: float) -> None:
        self._grid, self._nodes, self._deadline_s = grid, nodes, deadline_s

    def collect(
        self, exchange: Exchange, content: RecordDict, length: int, fixed: FixedPoint
    ) -> Collected:
        """The sums of vectors of `length` elements."""
        orders, replies = send_orders(self._grid, self._nodes, exchange, content, self._deadline_s)
        collected = Collected(bytes_down=wire.payload_bytes(content) * len(orders))
        vectors: Vectors = {}
        for name, reply in by_sender(orders, replies).items():
            if reply.has_error():
                collected.dropped[name] = wire.failure_reason(reply)
                continue
            collected.bytes_up += wire.payload_bytes(reply.content)
            try:
                vectors[name] = wire.read_vector(reply, length, fixed)
            except CalyxError as error:
                collected.dropped[name] = str(error)
        for name in exchange.cohort:
            if name not in vectors:
                late = "no reply before the deadline" if name in orders else "not connected"
                collected.dropped.setdefault(name, late)
        for index, group in enumerate(exchange.groups):
            members = tuple(name for name in group if name in vectors)
            if members:
                total = vectors[members[0]]
                for name in members[1:]:
                    total = add(total, vectors[name], fixed)
                collected.sums[index] = (total, members)
        return collected


def send_orders(
    grid: Grid, nodes: Nodes, exchange: Exchange, content: RecordDict, deadline_s: float
) -> tuple[dict[str, Message], list[Message]]:
    """Send an order to those of the cohort who are connected: the messages by name, the replies."""
    kind = wire.ORDER_TYPES[exchange.kind]
    orders = {
        name: Message(content, nodes[name], kind) for name in exchange.cohort if name in nodes
    }
    return orders, send_and_wait(grid, orders.values(), deadline_s)


def by_sender(sent: dict[str, Message], replies: list[Message]) -> dict[str, Message]:
    """The first reply to each message, by the name it was sent to; strays are left out."""
    names = {m.metadata.message_id: name for name, m in sent.items()}
    found: dict[str, Message] = {}
    for reply in replies:
        name = names.get(reply.metadata.reply_to_message_id)
        if name is not None:
            found.setdefault(name, reply)
    return found
