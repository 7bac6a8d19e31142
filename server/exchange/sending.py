"""Messages to clients by name, and their replies by name."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from calyx.flower.messages import Patience
from calyx.flower.replies import send_and_wait
from calyx.wire.messages import payload_bytes
from server.exchange.nodes import Nodes


@dataclass(frozen=True)
class Delivery:
    """What came of messages to several clients."""

    asked: frozenset[str]  # to whom one was sent
    replies: Mapping[str, Message]  # the first reply of each client that gave one
    bytes_down: int  # payload of all messages


@dataclass(frozen=True)
class Channel:
    """How a run's server reaches its clients."""

    grid: Grid
    nodes: Nodes  # of the clients that may take part
    deadline_s: float  # for the replies to one message

    def send(self, contents: Mapping[str, RecordDict], message_type: str) -> Delivery:
        """Send each client its content and wait for the replies; who has no node is not asked.

        A second reply to the same message, and a reply to none of them, are passed over.
        """
        sent = {
            name: Message(content, self.nodes[name], message_type)
            for name, content in contents.items()
            if name in self.nodes
        }
        received = send_and_wait(self.grid, sent.values(), self.deadline_s)
        names = {message.metadata.message_id: name for name, message in sent.items()}
        replies: dict[str, Message] = {}
        for reply in received:
            name = names.get(reply.metadata.reply_to_message_id)
            if name is not None:
                replies.setdefault(name, reply)
        # An order is one object for all clients: its bytes are counted once.
        distinct = {id(content): content for content in contents.values()}
        sizes = {key: payload_bytes(content) for key, content in distinct.items()}
        bytes_down = sum(sizes[id(contents[name])] for name in sent)
        return Delivery(frozenset(sent), replies, bytes_down)

    def nodes_of(self, names: Collection[str]) -> list[int]:
        """The nodes of these clients, in the order of `names`; who has none is left out."""
        found = map(self.nodes.get, names)
        return [node for node in found if node is not None]

    def wait_for(self, names: Collection[str]) -> None:
        """Return once all of these clients are connected, or after the deadline of one message."""
        deadline, patience = time.monotonic() + self.deadline_s, Patience()
        wanted = set(self.nodes_of(names))
        while not wanted <= set(self.grid.get_node_ids()) and time.monotonic() < deadline:
            patience.sleep()
