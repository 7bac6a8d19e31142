"""The seam to Flower's grid: messages are sent, and replies pulled, so that each stands for itself.

Flower's own grid pulls all replies in one call: one that cannot be read ends the call, and with it
the run, and one whose parts never come holds the others back for two hours. Here both are that
client's failure. Whose reply it is, is what the SuperLink says, never what the reply says of itself.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from flwr.app import Message
from flwr.serverapp import Grid

from calyx.errors import printable
from calyx.flower.bell import app_bell
from calyx.flower.messages import SERVER_NODE, Patience, label_message
from calyx.wire.messages import engine_failure

log = logging.getLogger(__name__)
_BELL_WAIT_S = 1.0  # a site that is gone rings nobody: only asking tells
_PARTS_S = 180.0  # that a reply's parts may come after it: so long Flower keeps their places
_UNREADABLE, _INCOMPLETE = "its reply cannot be read", "its reply is incomplete"


def send_and_wait(grid: Grid, messages: Iterable[Message], timeout: float | None) -> list[Message]:
    """Send messages and gather the replies that come within `timeout` seconds.

    Flower's own grid asks a SuperLink every three seconds. Here the gateway's bell says when to
    ask, and where there is none the waits begin at 0.3 s. Who sends what cannot be read has an
    error in place of a reply.
    """
    if not _asks_a_superlink(grid):
        return list(grid.send_and_receive(messages, timeout=timeout))
    messages, bell = list(messages), app_bell()
    ids = list(grid.push_messages(messages))
    waiting = {i: message for i, message in zip(ids, messages, strict=False) if i}
    if bell is not None:
        bell.ring()
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    pulls, patience = Pulls(grid, waiting), Patience()
    replies: list[Message] = []
    while waiting and time.monotonic() < deadline:
        # Each reply is delivered once: an id that was answered is never pulled again.
        pulled = pulls.pull(time.monotonic())
        replies += pulled
        if pulled:
            patience.reset()
        elif waiting and bell is not None:
            bell.wait(_BELL_WAIT_S, len(waiting))
        elif waiting:
            patience.sleep()
    return replies


def _asks_a_superlink(grid: Grid) -> bool:
    """Whether it is Flower's own over HTTP. Its module takes 0.6 s to load: who has one has loaded it."""
    module = sys.modules.get("flwr.superlink.grid.http_grid")
    return module is not None and isinstance(grid, module.HttpGrid)


def registered_names(grid: Grid) -> dict[int, str]:
    """The name that the operator gave the key of each node; empty where there is no SuperLink."""
    if not _asks_a_superlink(grid):
        return {}
    inner: Any = grid
    return {int(node.node_id): str(node.name) for node in inner.get_nodes() if node.name}


@dataclass
class _Arriving:
    """A reply that the SuperLink has handed out, some of whose parts may still be under way."""

    message_id: str
    asked: str  # id of the message that it answers, as the SuperLink says
    parts: list[str]
    until: float
    contents: dict[str, bytes] = field(default_factory=dict)


class Pulls:
    """The replies to those messages of `waiting` that are not answered yet; answered ones leave it."""

    def __init__(self, grid: Any, waiting: dict[str, Message]) -> None:  # noqa: ANN401 - Flower's HttpGrid
        self._grid, self._waiting = grid, waiting
        self._arriving: dict[str, _Arriving] = {}

    def pull(self, now: float) -> list[Message]:
        """Replies that are whole, and an error for each that never will be. Raises httpx's errors
        where the SuperLink does not answer, or has ended the run."""
        self._note_new(now)
        replies = []
        for arriving in list(self._arriving.values()):
            reply = self._reply(arriving, now)
            if reply is not None:
                del self._arriving[arriving.asked], self._waiting[arriving.asked]
                replies.append(reply)
        return replies

    def _note_new(self, now: float) -> None:
        from flwr.proto.runtime_pb2 import PullAppMessagesRequest
        from flwr.supercore.inflatable.inflatable_object import iterate_object_tree

        wanted = self._waiting.keys() - self._arriving.keys()
        if not wanted:
            return
        answer = self._grid._runtime_client.PullMessages(PullAppMessagesRequest(message_ids=wanted))
        for head, tree in zip(answer.messages_list, answer.message_object_trees, strict=True):
            asked = head.metadata.reply_to_message_id
            if asked in wanted:
                parts = list(dict.fromkeys(part.object_id for part in iterate_object_tree(tree)))
                self._arriving[asked] = _Arriving(
                    head.metadata.message_id, asked, parts, now + _PARTS_S
                )

    def _reply(self, arriving: _Arriving, now: float) -> Message | None:
        """The reply, an error in its place, or None where parts are still under way."""
        from flwr.supercore.inflatable.inflatable_utils import ObjectPullError

        question = self._waiting[arriving.asked]
        try:
            if not self._pull_parts(arriving):
                late = now >= arriving.until
                return engine_failure(_INCOMPLETE, question) if late else None
            self._confirm(arriving.message_id)
            return _inflate(arriving, question)
        except httpx.TransportError:
            raise
        except ObjectPullError:
            return engine_failure(_INCOMPLETE, question)
        except Exception as error:  # noqa: BLE001 - whatever a member sent: it is no reply
            why = printable(f"{type(error).__name__}: {error}", 200)
            log.warning("A reply of node %s cannot be read: %s", question.metadata.dst_node_id, why)
            return engine_failure(_UNREADABLE, question)

    def _pull_parts(self, arriving: _Arriving) -> bool:
        """Pull what is missing; whether all is there. Raises ObjectPullError for what never comes."""
        from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
        from flwr.supercore.inflatable.inflatable_utils import (
            ObjectPullError,
            ObjectUnavailableError,
            pull_objects,
        )

        client = self._grid._runtime_client
        pull = make_pull_object_fn_protobuf(
            client.PullObject, self._grid.node, self._grid.run.run_id
        )
        late = []

        def fetch(part: str) -> bytes:
            try:
                content = arriving.contents[part] = pull(part)
            except ObjectUnavailableError:
                late.append(part)
                raise ObjectPullError(part, "not yet") from None
            return content

        try:
            pull_objects([p for p in arriving.parts if p not in arriving.contents], fetch)
        except ObjectPullError:
            if not late:
                raise
        return not late

    def _confirm(self, message_id: str) -> None:
        from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest

        self._grid._runtime_client.ConfirmMessageReceived(
            ConfirmMessageReceivedRequest(
                node=self._grid.node, run_id=self._grid.run.run_id, message_object_id=message_id
            )
        )


def _inflate(arriving: _Arriving, question: Message) -> Message:
    """The reply out of its parts. Raises ValueError, or whatever its parts make Flower raise."""
    from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

    inflate: Callable[..., Any] = inflate_object_from_contents
    message = inflate(arriving.message_id, arriving.contents)
    if not isinstance(message, Message) or message.has_content() is message.has_error():
        raise ValueError("no message with content or an error")
    said, asked = message.metadata, question.metadata
    # Of a site that is gone the SuperLink itself says so; a member in its name says no more of itself.
    senders = {asked.dst_node_id, *([SERVER_NODE] if message.has_error() else [])}
    told = (said.reply_to_message_id, said.run_id)
    if told != (arriving.asked, asked.run_id) or said.src_node_id not in senders:
        raise ValueError("it names another question or sender than it came with")
    label_message(message.metadata, arriving.message_id)
    return message
