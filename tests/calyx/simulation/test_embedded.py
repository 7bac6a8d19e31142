"""Simulated clients: isolated state that outlives a worker, and an onlooker that only looks."""

from multiprocessing import active_children

import pytest
from flwr.app import Message, RecordDict
from support.federation import Federation, Silent

from calyx.run.folder import RunFolder
from calyx.simulation.clients import Account, App
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.identities import throw_away
from calyx.simulation.observer import Observer
from calyx.simulation.workers import WorkerPool
from client.journal import Note

COUNTING = App("support.counting:app")


def ask(grid, *nodes):
    """What each of these clients says, in numbers; None where it gives no answer."""
    replies = grid.send_and_receive([Message(RecordDict(), node, "query") for node in nodes])
    return {
        r.metadata.src_node_id: (r.content["n"]["n"], r.content["n"]["kept"])
        if r.has_content()
        else None
        for r in replies
    }


def grid_of(pool, names, onlooker=None, app=COUNTING):
    section = Federation().plan.run.client
    return EmbeddedGrid(pool, throw_away(names), section, onlooker or Silent(), app=app)


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_a_client_of_any_app_keeps_its_own_state_and_stays_in_its_process(workers):
    with WorkerPool(workers) as pool:
        grid = grid_of(pool, ["a", "b", "c"])
        assert ask(grid, 2, 3) == {2: (1, 1), 3: (1, 1)}
        assert ask(grid, 4, 3, 2) == {2: (2, 2), 3: (2, 2), 4: (1, 1)}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_whose_worker_dies_is_asked_once_more_with_the_state_it_had(
    workers, monkeypatch, tmp_path
):
    """The other clients of that worker lose what they kept in its process, and nothing else."""
    deaths = []
    onlooker = Silent()
    onlooker.on_death = lambda *death: deaths.append(death)
    monkeypatch.setenv("DIES", str(tmp_path / "dies"))
    with WorkerPool(workers) as pool:
        grid = grid_of(pool, ["a", "b", "c"], onlooker)
        ask(grid, 2, 3, 4)
        (tmp_path / "dies").write_text("2 once")
        assert ask(grid, 4, 2, 3) == {2: (2, 1), 3: (2, 2 if workers == 2 else 1), 4: (2, 1)}
        assert deaths == [("a", "its worker process died (signal 9)")]
        (tmp_path / "dies").write_text("2 always")
        assert ask(grid, 4, 2, 3) == {2: None, 3: (3, 3 if workers == 2 else 1), 4: (3, 1)}
        assert len(deaths) == 2


def test_a_worker_that_dies_while_nobody_asks_it_is_said_too():
    deaths = []
    onlooker = Silent()
    onlooker.on_death = lambda *death: deaths.append(death)
    with WorkerPool(1) as pool:
        grid = grid_of(pool, ["a", "b"], onlooker)
        ask(grid, 2, 3)
        (worker,) = active_children()
        worker.kill()
        worker.join()
        assert ask(grid, 2, 3) == {2: (2, 1), 3: (2, 1)}
    assert deaths == [("a", "its worker process died (signal 9)")]


def test_replies_can_be_pulled_once():
    grid = grid_of(WorkerPool(0), ["a", "b"])
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
        observer.on_answer("a", Account(notes, 0.5))
    observer.flush()
    from calyx.files.plain import read_lines

    rows = read_lines(tmp_path / "clients.jsonl")
    assert [(row["kind"], row["seconds"]) for row in rows] == [
        ("data", 0.0),
        ("train", 0.5),
        ("train", 0.5),
    ]
    assert rows[1]["train_loss"] is None
    assert [event["message"] for event in read_lines(tmp_path / "events.jsonl")] == ["Broken."]
