"""Replies are taken apart one by one: what one member sends spoils nobody else's."""

from types import SimpleNamespace

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
)

from calyx.flower import as_task, label_message
from calyx.flower_replies import SPOILT, pull_replies


class Store:
    """What a SuperLink keeps of replies, as its own messages; a site may have put anything there."""

    def __init__(self):
        self.objects, self.replies, self.confirmed = {}, [], []
        self._runtime_client, self.node = self, Node(node_id=1)
        self.run = SimpleNamespace(run_id=7)

    def put(self, question, number, answer="yes"):
        reply = Message(RecordDict({"a": ConfigRecord({"b": answer})}), reply_to=question)
        for name, part in get_all_nested_objects(reply).items():
            self.objects[name] = part.deflate()
        return self.say(reply, reply.object_id, get_object_tree(reply))

    def say(self, reply, number, tree):
        proto = message_to_proto(remove_content_from_message(reply))
        proto.metadata.message_id = number
        self.replies.append((proto, tree))
        return number

    def PullMessages(self, request):
        names = set(request.message_ids)
        found = [one for one in self.replies if one[0].metadata.reply_to_message_id in names]
        return SimpleNamespace(
            messages_list=[one[0] for one in found], message_object_trees=[one[1] for one in found]
        )

    def PullObject(self, request):
        content = self.objects.get(request.object_id)
        is_there = content is not None
        return SimpleNamespace(
            object_found=True, object_available=is_there, object_content=content or b""
        )

    def ConfirmMessageReceived(self, request):
        self.confirmed.append(request.message_object_id)


@pytest.fixture
def store():
    as_task(7)
    return Store()


def question(number):
    asked = Message(RecordDict(), dst_node_id=number, message_type="train")
    label_message(asked.metadata, f"q{number}")
    return asked


def spoil_bytes(store, asked):
    garbage = b"no record at all"
    store.objects[get_object_id(garbage)] = garbage
    name = get_object_id(garbage)
    store.say(Message(RecordDict(), reply_to=asked), name, ObjectTree(object_id=name))


def spoil_kind(store, asked):
    record = ConfigRecord({"b": "no message"})
    store.objects[record.object_id] = record.deflate()
    store.say(
        Message(RecordDict(), reply_to=asked),
        record.object_id,
        ObjectTree(object_id=record.object_id),
    )


def spoil_absent(store, asked):
    name = "0" * 64
    store.say(Message(RecordDict(), reply_to=asked), name, ObjectTree(object_id=name))


def spoil_sender(store, asked):
    """The message inside says that it is another site's answer to another question."""
    store.put(question(3), "m")
    proto, _ = store.replies[-1]
    proto.metadata.reply_to_message_id, proto.metadata.src_node_id = "q2", 2


@pytest.mark.parametrize("spoil", [spoil_bytes, spoil_kind, spoil_absent, spoil_sender])
def test_a_reply_that_holds_no_message_is_its_senders_failure(store, spoil, caplog):
    asked = [question(1), question(2), question(4)]
    store.put(asked[0], "m1", "one")
    spoil(store, asked[1])
    store.put(asked[2], "m4", "four")
    replies = {
        m.metadata.reply_to_message_id: m for m in pull_replies(store, ["q1", "q2", "q4"], 0.05)
    }
    assert {q: m.has_error() for q, m in replies.items()} == {"q1": False, "q2": True, "q4": False}
    assert replies["q2"].error.reason == SPOILT
    assert replies["q4"].content["a"]["b"] == "four"
    assert "cannot be used" in caplog.text
