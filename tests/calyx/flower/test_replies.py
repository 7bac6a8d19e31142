"""What a member sends in place of a reply is that member's failure; the others' replies are taken."""

import hashlib
import inspect
from types import SimpleNamespace

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.message_pb2 import ObjectTree, PullObjectResponse
from flwr.proto.node_pb2 import NodeInfo
from flwr.proto.runtime_pb2 import PullAppMessagesResponse
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.superlink.grid.http_grid import HttpGrid

from calyx.flower import replies as flower_replies
from calyx.flower.messages import SERVER_NODE, as_task, empty_run, label_message
from calyx.flower.replies import Pulls, registered_names, send_and_wait
from calyx.wire import messages as wire

LINES = ("push_messages", "node", "run", "_runtime_client")  # of Flower's grid that are relied on


class Superlink:
    """The Runtime API as a grid sees it: hands out each reply once, and parts by their hash."""

    def __init__(self):
        self.replies, self.parts, self.confirmed, self.asked = [], {}, [], []

    def PullMessages(self, request):
        self.asked.append(set(request.message_ids))
        ready = [r for r in self.replies if r[0].metadata.reply_to_message_id in self.asked[-1]]
        self.replies = [reply for reply in self.replies if reply not in ready]
        heads, trees = zip(*ready, strict=True) if ready else ((), ())
        return PullAppMessagesResponse(messages_list=heads, message_object_trees=trees)

    def PullObject(self, request):
        content = self.parts.get(request.object_id)
        if content is None:
            return PullObjectResponse(object_found=False)
        return PullObjectResponse(
            object_found=True, object_available=bool(content), object_content=content
        )

    def ConfirmMessageReceived(self, request):
        self.confirmed.append(request.message_object_id)

    def take(self, reply):
        """As an honest site sends it; its parts by id."""
        label_message(reply.metadata, reply.object_id)
        tree, parts = get_object_tree(reply), get_all_nested_objects(reply)
        self.parts |= {name: part.deflate() for name, part in parts.items()}
        self.replies.append((message_to_proto(remove_content_from_message(reply)), tree))
        return list(parts)

    def take_content(self, asked, content):
        """Bytes under their right hash, as a whole reply to `asked`."""
        name = hashlib.sha256(content).hexdigest()
        self.parts[name] = content
        head = message_to_proto(remove_content_from_message(answer(asked)))
        head.metadata.message_id = name
        self.replies.append((head, ObjectTree(object_id=name)))


@pytest.fixture
def link(monkeypatch):
    """A grid over a SuperLink that three questions were sent through, and their ids."""
    as_task(7)
    grid, superlink = HttpGrid(token="t"), Superlink()
    grid.set_run(empty_run(7))
    grid._client = superlink
    questions = [Message(RecordDict(), node, "train") for node in (11, 12, 13)]
    for number, question in enumerate(questions):
        label_message(question.metadata, f"question-{number}")
    monkeypatch.setattr(grid, "push_messages", lambda m: [q.metadata.message_id for q in m])
    return SimpleNamespace(grid=grid, superlink=superlink, questions=questions)


def answer(question, text="x"):
    return Message(RecordDict({"a": ConfigRecord({"b": text})}), reply_to=question)


def outcome(link, timeout=60.0):
    """Of each question its answer's text, or in words why it has none."""
    found = {}
    for reply in send_and_wait(link.grid, link.questions, timeout):
        said = wire.failure_reason(reply) if reply.has_error() else reply.content["a"]["b"]
        assert found.setdefault(reply.metadata.reply_to_message_id, said) == said
    return [found.get(f"question-{number}") for number in range(3)]


def test_honest_replies_come_with_their_content(link):
    for question in link.questions:
        link.superlink.take(answer(question, question.metadata.message_id))
    assert outcome(link) == ["question-0", "question-1", "question-2"]
    assert len(link.superlink.confirmed) == 3


NONSENSE = {
    "no head": b"x" * 100,
    "an unknown class": b"Grenade  0\x00",
    "another class": RecordDict().deflate(),
    "a body that is no record": b"ConfigRecord  5\x00\xff\xff\xff\xff\xff",
    "a child that is nowhere": b"RecordDict " + b"0" * 64 + b" 2\x00{}",
    "a length that lies": b"Message  99999999999999\x00x",
    "children without a name": b"RecordDict , 2\x00{}",
    "nothing": b"\x00",
}


@pytest.mark.parametrize("content", NONSENSE.values(), ids=NONSENSE)
def test_a_part_of_the_right_hash_that_is_nonsense_is_that_clients_failure(link, content):
    """The first of three; Flower's own grid raises, and the other two are lost with it."""
    first, second, third = link.questions
    link.superlink.take_content(first, content)
    link.superlink.take(answer(second, "second"))
    link.superlink.take(answer(third, "third"))
    assert outcome(link) == ["its reply cannot be read", "second", "third"]


def test_a_reply_that_says_it_answers_another_clients_question_is_not_taken_for_that_one(link):
    """The SuperLink's word counts: it knows which node was asked what."""
    first, second, third = link.questions
    link.superlink.take(answer(second, "of the first"))
    head, tree = link.superlink.replies.pop()
    head.metadata.reply_to_message_id = first.metadata.message_id
    link.superlink.replies.append((head, tree))
    link.superlink.take(answer(second, "second"))
    link.superlink.take(answer(third, "third"))
    assert outcome(link) == ["its reply cannot be read", "second", "third"]


def test_a_reply_in_another_clients_name_is_not_taken_for_that_ones(link):
    first, second, third = link.questions
    reply = answer(first)
    reply.metadata.__dict__["_src_node_id"] = 12
    link.superlink.take(reply)
    for question in (second, third):
        link.superlink.take(answer(question))
    assert outcome(link) == ["its reply cannot be read", "x", "x"]


def test_what_the_superlink_says_of_a_site_that_is_gone_is_passed_on(link):
    """Flower's SuperLink writes that error itself, in its own name (code 5)."""
    first, *others = link.questions
    gone = Message(Error(5, "heartbeat"), reply_to=first)
    gone.metadata.__dict__["_src_node_id"] = SERVER_NODE
    link.superlink.take(gone)
    for question in others:
        link.superlink.take(answer(question))
    assert outcome(link) == ["it is not connected any more", "x", "x"]


def test_the_operators_names_of_nodes_are_known_where_there_is_a_superlink(link, monkeypatch):
    nodes = [NodeInfo(node_id=11, name="north"), NodeInfo(node_id=12)]
    monkeypatch.setattr(link.grid, "get_nodes", lambda: nodes)
    assert registered_names(link.grid) == {11: "north"}
    assert registered_names(SimpleNamespace()) == {}


def test_a_reply_whose_part_was_never_announced_is_incomplete(link):
    first, *others = link.questions
    parts = link.superlink.take(answer(first))
    del link.superlink.parts[parts[-1]]
    for question in others:
        link.superlink.take(answer(question))
    assert outcome(link) == ["its reply is incomplete", "x", "x"]


def test_parts_that_are_still_under_way_hold_nobody_up_and_are_waited_for(link):
    first, second, _ = link.questions
    whole = {
        name: link.superlink.parts[name] for name in link.superlink.take(answer(first, "late"))
    }
    link.superlink.parts |= dict.fromkeys(whole, b"")
    link.superlink.take(answer(second, "second"))
    waiting = {q.metadata.message_id: q for q in link.questions}
    pulls = Pulls(link.grid, waiting)
    assert [m.content["a"]["b"] for m in pulls.pull(0.0)] == ["second"]
    assert pulls.pull(100.0) == []
    assert link.superlink.asked[-1] == {"question-2"}  # what was handed out is not asked for again
    link.superlink.parts |= whole
    assert [m.content["a"]["b"] for m in pulls.pull(101.0)] == ["late"]
    assert waiting.keys() == {"question-2"}


def test_parts_that_never_come_are_given_up_when_flower_gives_up_their_places(link):
    parts = link.superlink.take(answer(link.questions[0]))
    link.superlink.parts |= dict.fromkeys(parts, b"")
    pulls = Pulls(link.grid, {q.metadata.message_id: q for q in link.questions})
    assert pulls.pull(0.0) == []
    assert pulls.pull(flower_replies._PARTS_S - 1) == []
    [reply] = pulls.pull(flower_replies._PARTS_S)
    assert wire.failure_reason(reply) == "its reply is incomplete"


def test_flowers_grid_and_its_parts_are_what_this_seam_relies_on():
    from flwr.supercore.constant import OBJECT_PUSH_SESSION_TTL_SECONDS
    from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
    from flwr.supercore.inflatable.inflatable_utils import (
        inflate_object_from_contents,
        pull_objects,
    )

    assert all(hasattr(HttpGrid, name) for name in LINES if name != "node")
    assert HttpGrid(token="t").node.node_id == 1
    assert OBJECT_PUSH_SESSION_TTL_SECONDS == flower_replies._PARTS_S
    assert list(inspect.signature(pull_objects).parameters)[:2] == ["object_ids", "pull_object_fn"]
    assert list(inspect.signature(make_pull_object_fn_protobuf).parameters) == [
        "pull_object_protobuf",
        "node",
        "run_id",
    ]
    assert list(inspect.signature(inflate_object_from_contents).parameters)[:2] == [
        "object_id",
        "object_contents",
    ]
