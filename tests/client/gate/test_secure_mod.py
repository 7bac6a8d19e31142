"""What a client of the real app answers in stages, and what it keeps, whatever the server does."""

import logging
import time
from copy import deepcopy

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from support.clients import code_of, secrets_of
from support.protocol import Repeating

from calyx.flower.messages import as_task
from calyx.wire import messages as wire
from client.app import app
from client.context import LivingContext


def test_a_whole_exchange_ends_with_a_sum_and_leaves_no_session(clients):
    server, total = clients.advance(clients.order(), 4)
    assert len(total) == server.rules.length
    for context in clients.contexts.values():
        assert set(context.state) == {"secagg-ledger"}


def test_a_client_that_lives_says_every_word_that_one_which_travels_says(clients, monkeypatch):
    said = []
    original = clients.stage
    monkeypatch.setattr(clients, "stage", lambda *at: said.append(original(*at)) or said[-1])
    totals = []
    for kind in (Context, LivingContext):
        monkeypatch.setattr("client.gate.secure_mod.os.urandom", Repeating())
        for name, context in clients.contexts.items():
            values = context.node_config
            more = () if kind is LivingContext else (RecordDict(), {})
            clients.contexts[name] = kind(1, context.node_id, values, *more)
        totals.append(clients.advance(clients.order(), 4)[1].tolist())
        assert code_of(clients.ask(clients.names[0], clients.order())) == "context-reused"
    bodies = [wire.read_stage(reply) for reply in said]
    assert len(bodies) == 2 * 4 * len(clients.names)
    assert bodies[: len(bodies) // 2] == bodies[len(bodies) // 2 :]
    assert totals[0] == totals[1]
    assert not any(context.state for context in clients.contexts.values())


def test_who_has_revealed_does_not_sign_that_the_sum_is_given_up(clients):
    server, _ = clients.advance(clients.order(), 4)
    assert code_of(clients.stage(clients.names[0], 5, server.ctx, b"")) == "wrong-stage"


def test_a_stage_out_of_turn_or_of_another_context_is_refused(clients):
    name = clients.names[0]
    server, requests = clients.advance(clients.order(), 0)
    assert code_of(clients.stage(name, 1, bytes(32), requests[0])) == "wrong-stage"
    assert clients.stage(name, 1, server.ctx, requests[0]).has_content()  # that one still stands
    assert code_of(clients.stage(name, 3, server.ctx, b"")) == "wrong-stage"
    assert code_of(clients.stage(name, 2, server.ctx, b"")) == "wrong-stage"  # now it is dead


def test_a_message_after_the_deadline_is_refused_and_the_context_is_dead(clients, monkeypatch):
    server, requests = clients.advance(clients.order(), 0)
    now = time.time()
    monkeypatch.setattr("client.gate.secure_mod.time.time", lambda: now + 121)
    name = clients.names[0]
    assert code_of(clients.stage(name, 1, server.ctx, requests[0])) == "after-deadline"
    monkeypatch.undo()
    assert code_of(clients.stage(name, 1, server.ctx, requests[0])) == "wrong-stage"


def test_a_repeated_request_gains_no_time(clients, monkeypatch):
    server, requests = clients.advance(clients.order(), 0)
    now, name = time.time(), clients.names[0]
    for later, code in ((100, None), (200, None), (222, "after-deadline")):
        monkeypatch.setattr("client.gate.secure_mod.time.time", lambda t=now + later: t)
        reply = clients.stage(name, 1, server.ctx, requests[0])
        assert reply.has_content() if code is None else code_of(reply) == code


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"secagg": ConfigRecord({"ctx": bytes(32)})},
        {"secagg": ConfigRecord({"ctx": bytes(31), "body": b""})},
        {"secagg": ConfigRecord({"ctx": "x", "body": b""})},
        {"secagg": ConfigRecord({"ctx": bytes(32), "body": b"", "more": 1})},
        {"secagg": ConfigRecord({"ctx": bytes(32), "body": b""}), "more": ConfigRecord({})},
    ],
)
def test_a_malformed_message_is_refused(clients, content):
    name = clients.names[0]
    clients.advance(clients.order(), 0)
    as_task(1)
    message = Message(RecordDict(content), clients.federation.nodes[name], "query.share")
    assert code_of(app(message, clients.contexts[name])) == "malformed"


def test_a_refusal_carries_its_code_stage_context_and_whom_it_accuses_and_nothing_else(clients):
    server, requests = clients.advance(clients.order(), 1)
    inbox = bytearray(requests[0])
    inbox[10] ^= 1
    reply = clients.stage(clients.names[0], 2, server.ctx, bytes(inbox))
    note = wire.read_refusal(reply)
    assert (note.code.value, note.stage, note.ctx, note.accused) == (
        "sealed-share-unreadable",
        2,
        server.ctx,
        1,
    )
    assert wire.failure_reason(reply) == "sealed-share-unreadable (stage 2)"


def state_bytes(clients):
    parts = []
    for context in clients.contexts.values():
        for record in context.state.values():
            parts += [v if isinstance(v, bytes) else str(v).encode() for v in record.values()]
    return b"|".join(parts)


@pytest.mark.parametrize("end", ["stage 4", "abandonment", "refusal"])
def test_no_secret_is_left_in_the_state_or_said_in_a_log(clients, caplog, end):
    caplog.set_level(logging.DEBUG)
    secrets = set()
    server, _ = clients.advance(clients.order(), 0)
    secrets |= secrets_of(clients)
    assert any(secret in state_bytes(clients) for secret in secrets)
    order = clients.order(attempt=2)
    server, requests = clients.advance(order, 3 if end == "stage 4" else 2)
    secrets |= secrets_of(clients)
    for u, name in enumerate(clients.names):
        if end == "stage 4":
            assert clients.stage(name, 4, server.ctx, requests[u]).has_content()
        elif end == "abandonment":
            assert clients.stage(name, 5, server.ctx, b"").has_content()
        else:
            assert code_of(clients.stage(name, 3, server.ctx, b"")) == "not-in-sum"
    kept = state_bytes(clients)
    assert not [secret for secret in secrets if secret in kept]
    said = caplog.text.encode()
    assert not [s for s in secrets if s in said or s.hex().encode() in said]


def test_a_client_restored_from_an_older_state_cannot_give_a_second_answer(clients):
    # A server that crashes a client's process and has it start again from what was saved.
    server, requests = clients.advance(clients.order(), 2)
    name = clients.names[0]
    saved = deepcopy(clients.contexts[name])
    first = clients.stage(name, 3, server.ctx, requests[0])
    again = clients.stage(name, 3, server.ctx, requests[0], context=saved)
    assert wire.read_stage(first) == wire.read_stage(again)  # the same bytes, or none
    other = b"".join(u.to_bytes(4, "little") for u in range(4))
    assert code_of(clients.stage(name, 3, server.ctx, other)) == "wrong-stage"
