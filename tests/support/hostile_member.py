"""A member of the roster, with its own node key, that answers orders with what is no reply."""

import hashlib
import json
import sys
import time
from pathlib import Path

import httpx
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import ObjectTree, PushObjectRequest

from calyx.flower.site import Door, SiteLink
from calyx.wire import messages as wire

PART_BYTES, PARTS = 5 * 2**20, 100


def part(number):
    """Of 500 MiB the so-manieth 5 MiB, in the form that Flower stores."""
    body = number.to_bytes(4, "big") * (PART_BYTES // 4)
    return b"ArrayChunk  %d\0" % len(body) + body


def flood(link, order):
    """500 MiB in place of a reply; how often each answer came."""
    tree = [hashlib.sha256(part(number)).hexdigest() for number in range(PARTS)]
    root = b"RecordDict %s 2\0{}" % ",".join(tree).encode()
    session = announce(link, order, root, tree)
    answers = {}
    for number in range(PARTS):
        said = push(link, order, session, part(number))
        answers[said] = answers.get(said, 0) + 1
    return answers


def nonsense(link, order):
    """A record of the right hash that cannot be read."""
    content = b"ConfigRecord  5\0\xff\xff\xff\xff\xff"
    return push(link, order, announce(link, order, content, []), content)


def announce(link, order, root, children):
    """Say that a reply comes, whose parts they are; the session for them."""
    reply = Message(RecordDict({"a": ConfigRecord({"b": 1})}), reply_to=order)
    head = message_to_proto(remove_content_from_message(reply))
    head.metadata.message_id = hashlib.sha256(root).hexdigest()
    tree = ObjectTree(
        object_id=head.metadata.message_id,
        children=[ObjectTree(object_id=child) for child in children],
    )
    request = PushMessagesRequest(
        node=link._node, messages_list=[head], message_object_trees=[tree]
    )
    return link.call("PushMessages", request).session_id


def push(link, order, session, content):
    """Whether the SuperLink has stored it, or the status or name of what came instead."""
    request = PushObjectRequest(
        node=link._node,
        run_id=order.metadata.run_id,
        session_id=session,
        object_id=hashlib.sha256(content).hexdigest(),
        object_content=content,
    )
    try:
        return "stored" if link._client.PushObject(request).stored else "left"
    except httpx.HTTPStatusError as error:
        return str(error.response.status_code)
    except httpx.HTTPError:
        return "cut off"


def main(address, authority, key, name, *deeds):
    """Answer with each deed in turn, and print what came of them."""
    link = SiteLink(Door(address, Path(authority), Path(key).read_bytes()), print)
    found, deeds = [], list(deeds)
    with link.hold_connection(None):
        while deeds:
            message = link.receive()
            if message is None:
                time.sleep(0.1)
            elif message.metadata.message_type == wire.NAME_QUERY:
                link.reply(Message(wire.name_content(name), reply_to=message), message)
            else:
                found.append({"flood": flood, "nonsense": nonsense}[deeds.pop(0)](link, message))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
