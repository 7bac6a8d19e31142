"""Encrypted exchanges with real clients: exact sums, dropouts at every stage, and nothing in clear."""

import json

import numpy as np
import pytest
from support.federation import Federation
from support.randomness import check_uniform
from support.taps import Tap, run_server, stage_of

from calyx.errors import RoundFailed
from calyx.files.plain import read_lines
from calyx.secagg.refusals import RefusalCode
from calyx.vector.quantise import unpack
from calyx.wire import messages as wire
from client import app as client_app
from client.gate import secure_mod
from server.exchange import secure_sums
from server.exchange.exchange import TooFewReplies
from strategies.base import AlgorithmStrategy, load_algorithm

TEN = ["privacy=secagg", "task.num_clients=10", "rounds=3", "deadline_s=60.0"]
STAGES = ["train", *wire.STAGE_TYPES.values()]


@pytest.fixture
def vectors(monkeypatch):
    """Every plain vector that a client made, by (order, client)."""
    kept = {}
    advertise = secure_mod.advertise

    def watched(opening, vector):
        order = opening.order
        kept[order.kind, order.round, order.attempt, opening.member.u] = vector.copy()
        return advertise(opening, vector)

    monkeypatch.setattr(client_app.secure_mod, "advertise", watched)
    return kept


@pytest.fixture
def sums(monkeypatch):
    """Every sum that the server opened: (subject of its exchange, U2, total)."""
    kept = []

    class Watched(secure_sums.Aggregator):
        def take_reveals(self, replies):
            total = super().take_reveals(replies)
            kept.append((self.ctx, self.summed, total))
            return total

    monkeypatch.setattr(secure_sums, "Aggregator", Watched)
    return kept


def total_of(vectors, key, members):
    stacked = np.stack([vectors[(*key, u)].astype(np.uint64) for u in members])
    return (stacked.sum(axis=0) % 2**32).astype(np.uint32)


@pytest.mark.parametrize("stage", range(5))
def test_two_of_ten_that_stop_for_good_at_a_stage_leave_exact_sums(tmp_path, stage, vectors, sums):
    federation = Federation(*TEN)
    tap = Tap(federation.inner)
    trainings = []

    def request(message):
        if stage_of(message) == 0:
            trainings.append(message)
        second = len({id(m.content) for m in trainings}) >= 2  # round 2 has begun
        if second and stage_of(message) == stage:
            tap.silent |= set(list(federation.nodes.values())[3:5])
        return message

    tap.request = request
    folder = run_server(federation, tap, tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["rounds"] == 3
    keys = [("train", r, 1) for r in (1, 2, 3)] + [
        ("evaluate", 3, 1),
        ("test", summary["best_round"], 1),
    ]
    assert len(sums) == len(keys)
    for key, (_, members, total) in zip(keys, sums, strict=True):
        everybody = key == ("train", 1, 1) or (key == ("train", 2, 1) and stage > 2)
        assert len(members) == (10 if everybody else 8), key
        assert (total == total_of(vectors, key, members)).all()
    rows = read_lines(folder / "rounds.jsonl")
    gone = [list(federation.nodes)[i] for i in (3, 4)]
    assert rows[1]["dropped"] == ([] if stage > 2 else gone)
    assert rows[2]["dropped"] == gone


@pytest.mark.parametrize("stage", range(5))
def test_five_of_ten_that_stop_end_the_run_at_that_stage(tmp_path, stage, sums):
    federation = Federation(*TEN, "retries=0")
    tap = Tap(federation.inner)

    def request(message):
        if stage_of(message) == stage:
            tap.silent |= set(list(federation.nodes.values())[:5])
        return message

    tap.request = request
    with pytest.raises(RoundFailed, match=rf"stage {stage} \(") as caught:
        run_server(federation, tap, tmp_path / "run")
    assert "calyx resume" in str(caught.value)
    assert sums == []
    assert (tmp_path / "run" / "checkpoints" / "round-000000").is_dir()


@pytest.fixture
def ten():
    return Federation(*TEN)


def test_an_attempt_that_fails_after_the_vectors_is_repeated_once_the_sum_is_given_up(
    tmp_path, vectors, sums
):
    federation = Federation(*TEN, "retries=1", "min_replies=9", "rounds=1")
    tap, attempts = Tap(federation.inner), []

    def request(message):
        kind, node = stage_of(message), message.metadata.dst_node_id
        if kind == 0 and message.metadata.message_type == "train":
            attempts.append(message.content)
        first = all(content is attempts[0] for content in attempts)
        # Two vectors are lost in the first attempt only.
        return None if kind == 2 and first and node in (2, 3) else message

    tap.request = request
    run_server(federation, tap, tmp_path / "run")
    events = read_lines(tmp_path / "run" / "events.jsonl")
    assert [e["event"] for e in events if e["event"] in ("retry", "stopped")] == ["retry"]
    _, members, total = sums[0]
    assert members == tuple(range(10))
    assert (total == total_of(vectors, ("train", 1, 2), members)).all()
    assert any(stage == 5 for stage, _, _ in tap.sent)


def test_without_enough_who_give_it_up_no_second_vector_is_asked_for(tmp_path):
    federation = Federation(*TEN, "retries=3", "min_replies=9", "rounds=1")
    tap = Tap(federation.inner)

    def request(message):
        node = message.metadata.dst_node_id
        is_lost = stage_of(message) == 2 and node in (2, 3)
        return None if is_lost or (stage_of(message) == 5 and node < 9) else message

    tap.request = request
    with pytest.raises(RoundFailed, match="gave the old sum up"):
        run_server(federation, tap, tmp_path / "run")
    trainings = {id(c) for stage, _, c in tap.sent if stage == 0}
    assert len(trainings) == 1


def test_a_client_that_garbles_its_shares_is_named_and_left_out_of_the_next_attempt(tmp_path):
    federation = Federation(*TEN, "retries=1", "rounds=1")
    tap, liar = Tap(federation.inner), list(federation.nodes)[4]

    def garbled(message, reply):
        if stage_of(message) != 1 or message.metadata.dst_node_id != federation.nodes[liar]:
            return reply
        ctx, body = wire.read_stage(reply)
        rows = [body[i : i + 4] + bytes(82) for i in range(0, len(body), 86)]
        reply.content = wire.stage_content(ctx, b"".join(rows))
        return reply

    tap.reply = garbled
    run_server(federation, tap, tmp_path / "run")
    events = read_lines(tmp_path / "run" / "events.jsonl")
    assert {e["client"] for e in events if e["event"] == "client-accused"} == {liar}
    reasons = {
        e["reason"] for e in events if e["event"] == "client-dropped" and e["client"] != liar
    }
    assert reasons == {"sealed-share-unreadable (stage 2)"}
    row = read_lines(tmp_path / "run" / "rounds.jsonl")[0]
    assert liar not in row["cohort"]
    assert row["replies"] == 9


def test_who_reveals_wrong_shares_is_named_and_the_sum_is_right(tmp_path, vectors, sums):
    federation = Federation(*TEN, "rounds=1")
    tap, liar = Tap(federation.inner), list(federation.nodes)[4]

    def lying(message, reply):
        if stage_of(message) != 4 or message.metadata.dst_node_id != federation.nodes[liar]:
            return reply
        ctx, body = wire.read_stage(reply)
        rows = [body[i : i + 4] + b"\x01" + body[i + 5 : i + 37] for i in range(0, len(body), 37)]
        reply.content = wire.stage_content(ctx, b"".join(rows))
        return reply

    tap.reply = lying
    run_server(federation, tap, tmp_path / "run")
    events = read_lines(tmp_path / "run" / "events.jsonl")
    named = [e["message"] for e in events if e["event"] == "bad-shares"]
    assert named
    assert all(liar in message for message in named)
    key = ("train", 1, 1)
    assert (sums[0][2] == total_of(vectors, key, range(10))).all()


def test_nothing_of_a_client_crosses_in_clear_and_each_masked_vector_looks_random(
    tmp_path, vectors
):
    federation = Federation(*TEN, "rounds=2", "training.epochs=2")
    tap = Tap(federation.inner)
    run_server(federation, tap, tmp_path / "run")
    plain = [v.astype("<u4").tobytes() for v in vectors.values()]
    # Any eight neighbouring elements of a client's vector that are not all zero would betray it.
    windows = {
        p[i : i + 32] for p in plain for i in range(0, len(p) - 32, 4) if p[i : i + 32].strip(b"\0")
    }
    masked = []
    for stage, _, content in tap.received:
        if stage is None:
            continue
        assert content is not None
        assert set(content) == {"secagg"}
        _, body = content["secagg"]["ctx"], content["secagg"]["body"]
        for i in range(0, len(body) - 32, 1 if len(body) < 20_000 else 4):
            assert body[i : i + 32] not in windows
        if stage == 2:
            masked.append(unpack(body[:-64], 32))
    assert len(masked) == len(vectors) == 10 * 4
    assert not [c for vector in masked for c in check_uniform(vector, 32)]


def test_a_group_below_its_bound_is_dropped_and_the_others_go_on(tmp_path):
    federation = Federation(
        *TEN[:1], "task.num_clients=12", "privacy.groups=2", "rounds=1", "min_replies=6"
    )
    tap = Tap(federation.inner)
    group = []

    def request(message):
        if stage_of(message) == 0 and not group:
            order = json.loads(wire.read_order(message))
            group.extend(order["groups"][1])
        if stage_of(message) == 1 and group:
            tap.silent |= {federation.nodes[name] for name in group[:3]}
        return message

    tap.request = request
    run_server(federation, tap, tmp_path / "run")
    row = read_lines(tmp_path / "run" / "rounds.jsonl")[0]
    assert row["replies"] == 6
    assert row["dropped"] == sorted(group)


def test_too_few_replies_are_known_before_anything_is_opened(sums):
    federation = Federation(*TEN)
    tap = Tap(federation.inner)
    tap.request = lambda m: None if stage_of(m) == 2 and m.metadata.dst_node_id < 4 else m
    algorithm = load_algorithm(
        federation.plan.terms, federation.plan.run.strategy.server, federation.plan.run.privacy
    )
    strategy = AlgorithmStrategy(algorithm, federation.template)
    with pytest.raises(TooFewReplies, match="has 0 of 10 clients"):
        federation.attempt(strategy, federation.exchange(), federation.over(tap, min_replies=9))
    assert sums == []
    assert not any(stage in (3, 4) for stage, _, _ in tap.sent)


@pytest.mark.parametrize("accused", [0, 7, 10, 9_999_999])
def test_one_client_that_accuses_anybody_harms_nobody(tmp_path, accused):
    federation = Federation(
        "privacy=secagg", "task.num_clients=12", "privacy.groups=2", "rounds=1", "privacy.n_min=3"
    )
    tap, liar = Tap(federation.inner), list(federation.nodes.values())[5]

    def lying(message, reply):
        if message.metadata.dst_node_id != liar or stage_of(message) not in (1, 2, 3, 4, 5):
            return reply
        note = wire.RefusalNote(RefusalCode.SEALED_SHARE, 2, bytes(32), accused)
        return wire.refusal(note, message)

    tap.reply = lying
    run_server(federation, tap, tmp_path / "run")
    events = read_lines(tmp_path / "run" / "events.jsonl")
    assert not [e for e in events if e["event"] == "client-accused"]


def test_once_shares_were_asked_for_no_attempt_follows(tmp_path):
    federation = Federation(*TEN, "retries=3", "rounds=1")
    tap = Tap(federation.inner)
    tap.request = lambda m: None if stage_of(m) == 4 and m.metadata.dst_node_id < 8 else m
    with pytest.raises(RoundFailed, match="stage 4"):
        run_server(federation, tap, tmp_path / "run")
    assert len({id(content) for stage, _, content in tap.sent if stage == 0}) == 1


def test_a_reply_of_another_context_is_none(tmp_path):
    federation = Federation(*TEN, "rounds=1")
    tap, odd = Tap(federation.inner), list(federation.nodes)[2]

    def relabelled(message, reply):
        if stage_of(message) == 1 and message.metadata.dst_node_id == federation.nodes[odd]:
            _, body = wire.read_stage(reply)
            reply.content = wire.stage_content(bytes(32), body)
        return reply

    tap.reply = relabelled
    run_server(federation, tap, tmp_path / "run")
    assert read_lines(tmp_path / "run" / "rounds.jsonl")[0]["dropped"] == [odd]


def test_an_order_names_the_sums_that_its_weights_came_from(tmp_path, sums):
    federation = Federation(*TEN, "rounds=2")
    tap, orders = Tap(federation.inner), {}

    def request(message):
        if stage_of(message) == 0:
            order = json.loads(wire.read_order(message))
            orders[order["kind"], order["round"]] = order["previous"]
        return message

    tap.request = request
    run_server(federation, tap, tmp_path / "run")
    first, second = (ctx.hex() for ctx, _, _ in sums[:2])
    assert orders["train", 1] == []
    assert [link["ctx"] for link in orders["train", 2]] == [first]
    assert [link["ctx"] for link in orders["evaluate", 2]] == [second]
