"""The client's boundary: what it answers, and what it refuses with one code."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from flwr.app import Context, Message, RecordDict
from support.federation import Federation
from torch import nn

from calyx.composing.compose import compose, resolve
from calyx.config.section import canonical_json
from calyx.flower.messages import as_task
from calyx.model.weights import hash_weights
from calyx.run.order import Order, to_json
from calyx.tasks.digits import Digits
from calyx.wire import messages as wire
from client.app import app
from client.config import node_config
from client.gate import assignment


@pytest.fixture(scope="module")
def federation():
    return Federation()


def order_of(federation, **changes):
    values = {
        "protocol": "calyx/1",
        "run": "run",
        "kind": "train",
        "round": 1,
        "attempt": 1,
        "weights": hash_weights(federation.template),
        "is_validated": False,
        "previous": (),
        "abandoned": (),
        "groups": (("client-00", "client-01"), ("client-02",)),
        "members": None,
        "rounds": 5,
        "best": 0,
        "deadline_s": 60.0,
        "terms": federation.setting.terms,
    }
    return Order(**(values | changes))


def ask(federation, text, kind="train", weights=None, client="client-00"):
    as_task(1)
    content = wire.order_content(federation.template if weights is None else weights, text)
    message = Message(content, dst_node_id=2, message_type=kind)
    context = Context(1, 2, dict(node_config(client, federation.plan.run.client)), RecordDict(), {})
    return app(message, context)


@pytest.mark.parametrize(
    ("kind", "message_type"),
    [("train", "train"), ("evaluate", "evaluate"), ("test", "evaluate.test")],
)
def test_an_answer_is_one_vector_and_nothing_else(federation, kind, message_type):
    reply = ask(federation, to_json(order_of(federation, kind=kind)), message_type)
    assert list(reply.content) == ["vector"]
    assert list(reply.content["vector"]) == ["vector"]


def test_the_same_order_gives_the_same_bytes(federation):
    replies = [ask(federation, to_json(order_of(federation))) for _ in range(2)]
    first, second = (reply.content["vector"]["vector"].data for reply in replies)
    assert first == second


def edited(federation, **changes):
    return canonical_json(json.loads(to_json(order_of(federation))) | changes)


def terms(federation, **changes):
    return replace(federation.setting.terms, **changes)


REFUSED = {
    "no order": lambda f: "{}",
    "no JSON": lambda f: "row 5",
    "another spacing": lambda f: json.dumps(json.loads(to_json(order_of(f)))),
    "a field it does not know": lambda f: edited(f, extra=1),
    "another protocol": lambda f: edited(f, protocol="calyx/2"),
    "another kind": lambda f: to_json(order_of(f, kind="evaluate")),
    "without this client": lambda f: to_json(order_of(f, groups=(("client-01",),))),
    "this client twice": lambda f: to_json(order_of(f, groups=(("client-00",), ("client-00",)))),
    "a round after the last": lambda f: to_json(order_of(f, round=6)),
    "a negative round": lambda f: edited(f, round=-1),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_an_order_that_is_not_right_is_refused_with_a_code(federation, make):
    reply = ask(federation, make(federation))
    assert not reply.has_content()
    assert reply.error.reason == "order-refused"


def test_weights_that_are_not_the_orders_are_refused(federation):
    other = {k: v + np.float32(1) for k, v in federation.template.items()}
    short = {k: v[:1] for k, v in federation.template.items()}
    for weights in (other, short):
        reply = ask(federation, to_json(order_of(federation)), weights=weights)
        assert reply.error.reason == "weights-refused"


def test_an_unknown_task_strategy_or_hyperparameter_contributes_nothing(federation):
    task = {**federation.setting.terms.task, "name": "os.system"}
    strategy = replace(federation.setting.terms.strategy, name="nope")
    training = {**federation.setting.terms.training, "epochs": 0}
    for change in ({"task": task}, {"strategy": strategy}, {"training": training}):
        reply = ask(federation, to_json(order_of(federation, terms=terms(federation, **change))))
        assert not reply.has_content()
        assert reply.error.reason == "order-refused"


def test_a_client_says_its_name():
    as_task(1)
    question = Message(RecordDict(), dst_node_id=2, message_type=wire.NAME_QUERY)
    section = resolve(compose([]))["client"]
    context = Context(1, 2, dict(node_config("north", section)), RecordDict(), {})
    assert wire.read_name(app(question, context)) == "north"


@pytest.fixture
def counting(monkeypatch):
    """The task's model counts pixels that are neither 0 nor 1, in an integer that never travels."""

    def count(net, inputs, output):
        net.grey.add_(int(((inputs[0] > 0) & (inputs[0] < 1)).sum()))

    def model(self, width):
        net = nn.Linear(width, 10)
        net.register_buffer("grey", torch.zeros((), dtype=torch.int64))
        net.register_forward_hook(count)
        return net

    monkeypatch.setattr(Digits, "model", model)
    assignment._pristine.cache_clear()
    yield
    assignment._pristine.cache_clear()


def test_a_training_that_moves_what_does_not_travel_is_no_contribution(counting):
    """A look at made-up rows cannot show it; the client's own rows do, on its own machine."""
    made = Federation()
    reply = ask(made, to_json(order_of(made)))
    assert wire.failure_reason(reply) == "order-refused"
    assert not reply.has_content()
