"""Simulated clients: isolated state that outlives a worker, and an onlooker that only looks."""

import os
import signal

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
from support.federation import Federation, Silent

from calyx.run.folder import RunFolder
from calyx.simulation import embedded
from calyx.simulation.embedded import Answer, EmbeddedGrid
from calyx.simulation.identities import throw_away
from calyx.simulation.observer import Observer
from calyx.simulation.workers import WorkerPool
from client.journal import Note

counting = ClientApp()


@counting.query()
def count(message, context):
    """Say how many messages this client has had; die at the third of the first client."""
    seen = int(context.state["seen"]["n"]) + 1 if "seen" in context.state else 1
    if seen == 3 and context.node_id == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    context.state["seen"] = ConfigRecord({"n": seen})
    return Message(RecordDict({"n": ConfigRecord({"n": seen})}), reply_to=message)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_keeps_its_own_state_though_its_worker_dies(monkeypatch, workers):
    section = Federation().plan.run.client
    monkeypatch.setattr(embedded, "app", counting)
    with WorkerPool(workers) as pool:
        grid = EmbeddedGrid(pool, throw_away(["a", "b", "c"]), section, Silent())

        def ask(*nodes):
            replies = grid.send_and_receive(Message(RecordDict(), node, "query") for node in nodes)
            return {
                r.metadata.src_node_id: r.content["n"]["n"] if r.has_content() else None
                for r in replies
            }

        assert ask(2, 3) == {2: 1, 3: 1}
        assert ask(2, 3, 4) == {2: 2, 3: 2, 4: 1}
        assert ask(2, 3, 4) == {2: None, 3: 3, 4: 2}
        assert ask(3, 4) == {3: 4, 4: 3}


def test_replies_can_be_pulled_once(monkeypatch):
    section = Federation().plan.run.client
    monkeypatch.setattr(embedded, "app", counting)
    grid = EmbeddedGrid(WorkerPool(0), throw_away(["a", "b"]), section, Silent())
    ids = list(grid.push_messages([Message(RecordDict(), 3, "query")]))
    assert len(list(grid.pull_messages(ids))) == 1
    assert list(grid.pull_messages(ids)) == []


def test_what_a_client_says_of_its_data_is_told_once_and_a_failure_once(tmp_path):
    observer = Observer(RunFolder(tmp_path))
    notes = [
        Note("data", {"rows": {}}),
        Note("failure", {"code": "x", "message": "Broken."}),
        Note("train", {"round": 1, "train_loss": float("nan")}),
    ]
    for _ in range(2):
        observer.on_answer("a", Answer(None, RecordDict(), notes, 0.5))
    observer.flush()
    from calyx.files.plain import read_lines

    rows = read_lines(tmp_path / "clients.jsonl")
    assert [(row["kind"], row["train_loss"], row["seconds"]) for row in rows] == [
        ("train", None, 0.5)
    ] * 2
    assert [event["message"] for event in read_lines(tmp_path / "events.jsonl")] == ["Broken."]
