"""What sites have answered, taken apart one reply after another: a part of the seam.

Flower's grid takes all replies apart together, so that one member whose reply holds no message, or
whose objects never come, would end or hold up everybody's exchange.
"""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flwr.app import Error, Message, Metadata
from flwr.serverapp import Grid

log = logging.getLogger(__name__)
SPOILT = "malformed"  # the reason of a reply that holds no message
_SPOILT_CODE = 0  # "unknown" of Flower's error codes
_TOGETHER = 8  # replies that are taken apart at a time


def pull_replies(grid: Grid, questions: Iterable[str], patience_s: float) -> list[Message]:
    """The replies to `questions` (ids of messages) that are there; an error stands for a spoilt one.

    Its objects may still be on their way: it is waited for them `patience_s` seconds at most. Raises
    Flower's errors of the link to the SuperLink. `grid` is Flower's own over HTTP.
    """
    from flwr.proto.runtime_pb2 import PullAppMessagesRequest

    inner: Any = grid
    answer = inner._runtime_client.PullMessages(
        PullAppMessagesRequest(message_ids=sorted(questions))
    )
    replies = list(zip(answer.messages_list, answer.message_object_trees, strict=True))
    if not replies:
        return []
    with ThreadPoolExecutor(min(_TOGETHER, len(replies))) as pool:
        return list(pool.map(lambda one: _taken_apart(inner, one[0], one[1], patience_s), replies))


def _taken_apart(grid: Any, reply: Any, tree: Any, patience_s: float) -> Message:  # noqa: ANN401 - Flower's
    from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
    from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
    from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
    from flwr.supercore.inflatable.inflatable_utils import (
        ObjectPullError,
        inflate_object_from_contents,
        pull_objects,
    )

    run_id, node, number = grid.run.run_id, grid.node, reply.metadata.message_id
    pull = make_pull_object_fn_protobuf(
        pull_object_protobuf=grid._runtime_client.PullObject, node=node, run_id=run_id
    )
    try:
        names = [part.object_id for part in iterate_object_tree(tree)]
        contents = pull_objects(names, pull, max_time=max(0.0, patience_s))
    except ObjectPullError as error:
        return _spoilt(reply.metadata, f"an object never came: {error}")
    grid._runtime_client.ConfirmMessageReceived(
        ConfirmMessageReceivedRequest(node=node, run_id=run_id, message_object_id=number)
    )
    try:
        found: object = inflate_object_from_contents(number, contents)
    except Exception as error:
        log.debug("A reply could not be taken apart.", exc_info=True)
        return _spoilt(reply.metadata, f"{type(error).__name__}: {error}")
    if not isinstance(found, Message):
        return _spoilt(reply.metadata, f"it is a {type(found).__name__}, and no message")
    said, known = found.metadata, reply.metadata
    told = (said.reply_to_message_id, said.src_node_id, said.run_id)
    if told != (known.reply_to_message_id, known.src_node_id, known.run_id):
        return _spoilt(known, "it names another sender or question than it came with")
    found.metadata.__dict__["_message_id"] = number
    return found


def _spoilt(known: Any, why: str) -> Message:  # noqa: ANN401 - Flower's
    from flwr.app.message import make_message

    log.warning("A reply of node %s cannot be used: %s", known.src_node_id, why[:200])
    metadata = Metadata(
        run_id=known.run_id,
        message_id=known.message_id,
        src_node_id=known.src_node_id,
        dst_node_id=known.dst_node_id,
        message_type=known.message_type,
        group_id=known.group_id,
        ttl=known.ttl,
        reply_to_message_id=known.reply_to_message_id,
        created_at=known.created_at,
    )
    made: Message = make_message(metadata=metadata, error=Error(_SPOILT_CODE, SPOILT))
    return made
