"""Sums that workers make are those of messages, whoever computes them and whatever becomes of a worker."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.federation import Federation, Silent
from support.pages import ROOT
from support.taps import Tap, run_server

from calyx.errors import ConfigError
from calyx.files.plain import read_lines
from calyx.model.weights import load_weights
from calyx.questions.segments import Inquiry
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.sums import deal
from calyx.simulation.workers import WorkerPool
from calyx.vector.quantise import signed
from calyx.wire import messages as wire
from client import reply
from client.rows.data import forget
from server.exchange.cohort_grid import CohortGrid
from server.exchange.exchange import Exchange
from server.exchange.plain_sums import Added, collect_plain

SMALL = ("task.num_clients=5", "training.epochs=1")


@pytest.fixture(scope="module")
def federation():
    return Federation(*SMALL, "privacy.bits=24")


def collect(federation, grid, groups, deadline_s=60.0):
    """The sums of a first round, over this grid."""
    setting, kind = federation.setting, "train"
    exchange = Exchange(kind, 1, groups, is_validated=True)
    inquiry = Inquiry(setting.contents, setting.run.privacy, setting.terms, exchange.is_validated)
    segments = exchange.question.segments(inquiry)
    order = CohortGrid(federation.over(grid), exchange)._write_order(federation.template)
    content = wire.order_content(federation.template, order)
    channel = replace(federation.over(grid).clients.channel, deadline_s=deadline_s)
    return collect_plain(channel, exchange, content, segments)


def comparable(sums):
    return (
        {i: (one.total.tobytes(), one.names) for i, one in sums.sums.items()},
        dict(sums.dropped),
        sums.bytes_up,
        sums.bytes_down,
    )


def grid_of(federation, pool, onlooker=None):
    section = federation.plan.run.client
    return EmbeddedGrid(pool, federation.identities, section, onlooker or Silent())


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_sums_of_workers_are_the_sums_of_messages(federation, workers):
    """In two groups, one of whose clients is not connected."""
    a, b, c, d, e = federation.nodes
    groups = ((a, c, "nobody"), (b, d, e))
    with WorkerPool(workers) as pool:
        grid = grid_of(federation, pool)
        made, sent = (collect(federation, one, groups) for one in (grid, Tap(grid)))
    assert comparable(made) == comparable(sent)
    assert made.dropped == {"nobody": "not connected"}
    assert [one.names for one in made.sums.values()] == [(a, c), (b, d, e)]


def test_who_fails_is_in_no_sum_and_harms_nobody(federation, monkeypatch):
    names = list(federation.nodes)
    contribute = reply.contribute

    def fail(assignments, answers):
        if assignments[0].site.name in names[:2]:
            raise ValueError(assignments[0].site.name)
        return contribute(assignments, answers)

    monkeypatch.setattr(reply, "contribute", fail)
    grid = grid_of(federation, WorkerPool(0))
    made, sent = (collect(federation, one, (tuple(names),)) for one in (grid, Tap(grid)))
    assert comparable(made) == comparable(sent)
    assert made.dropped == dict.fromkeys(names[:2], "internal-error")


@pytest.mark.parametrize("workers", [1, 2])
def test_clients_of_a_worker_that_dies_are_asked_again_and_one_that_kills_two_fails(
    federation, monkeypatch, tmp_path, workers
):
    names, lot = list(federation.nodes), tmp_path / "lot"
    contribute = reply.contribute

    def die(assignments, answers):
        if assignments[0].site.name == names[1] and lot.exists():
            if lot.read_text() == "once":
                Path(lot).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return contribute(assignments, answers)

    monkeypatch.setattr(reply, "contribute", die)
    deaths, onlooker = [], Silent()
    onlooker.on_death = lambda *death: deaths.append(death)
    with WorkerPool(workers) as pool:
        grid, groups = grid_of(federation, pool, onlooker), (tuple(names),)
        whole = comparable(collect(federation, grid, groups))
        lot.write_text("once")
        assert comparable(collect(federation, grid, groups)) == whole
        lot.write_text("always")
        less = collect(federation, grid, groups)
    assert less.dropped == {names[1]: "its worker process died (signal 9)"}
    assert less.sums[0].names == (names[0], *names[2:])
    assert deaths == [(names[1], "its worker process died (signal 9)")] * 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_that_takes_all_the_time_is_late_and_holds_up_nobody(
    federation, monkeypatch, workers
):
    """By sums and by messages; on machines of their own the others would not have waited for it."""
    names = list(federation.nodes)
    contribute = reply.contribute

    def hang(assignments, answers):
        if assignments[0].site.name == names[1]:
            time.sleep(600)
        return contribute(assignments, answers)

    monkeypatch.setattr(reply, "contribute", hang)
    with WorkerPool(workers) as pool:
        grid = grid_of(federation, pool)
        for one in (grid, Tap(grid)):
            sums = collect(federation, one, (tuple(names),), deadline_s=4.0)
            assert sums.dropped == {names[1]: "no reply before the deadline"}


@pytest.mark.parametrize("workers", [0, 2])
def test_trainings_together_sum_to_almost_the_same(federation, workers, monkeypatch):
    """But for a step a client, of a coordinate that rounds otherwise; who fails is in neither sum."""
    names = list(federation.nodes)
    contribute = reply.contribute

    def fail(assignments, answers):
        if assignments[0].site.name == names[1]:
            raise ValueError(names[1])
        return contribute(assignments, answers)

    monkeypatch.setattr(reply, "contribute", fail)
    groups, sums = (tuple(names[:3]), tuple(names[3:])), []
    for is_together in (False, True):
        seen = []
        onlooker = Silent()
        onlooker.on_answer = lambda client, account, seen=seen: seen.append(
            (client, [note.kind for note in account.notes if note.kind != "data"])
        )
        with WorkerPool(workers) as pool:
            grid = grid_of(federation, pool, onlooker)
            if is_together:
                grid.compute_together()
            sums.append((collect(federation, grid, groups), seen))
    (one, noted), (other, also) = sums
    assert also == noted
    assert other.dropped == one.dropped == {names[1]: "internal-error"}
    for group in (0, 1):
        assert other.sums[group].names == one.sums[group].names
        fixed = federation.setting.run.privacy.fixed_point()
        apart = signed(other.sums[group].total - one.sums[group].total & fixed.mask, fixed)
        weights = apart[1:-100]  # the loss and counts are exact sums of other outputs
        assert np.abs(weights).max() <= 3
        assert np.count_nonzero(weights) < len(weights) / 100


def test_trainings_together_that_fail_are_done_one_by_one(federation, monkeypatch):
    """And what clients said when they read their rows is not lost."""
    monkeypatch.setattr(reply, "learn_together", lambda clients, alone: 1 / 0)
    names, ends = tuple(federation.nodes), []
    for is_together in (False, True):
        forget()
        noted = {}
        onlooker = Silent()
        onlooker.on_answer = lambda client, account, noted=noted: noted.update(
            {client: [note.kind for note in account.notes]}
        )
        grid = grid_of(federation, WorkerPool(0), onlooker)
        if is_together:
            grid.compute_together()
        ends.append((comparable(collect(federation, grid, (names,))), noted))
    assert ends[0] == ends[1]
    assert all("data" in kinds for kinds in noted.values())


@pytest.mark.parametrize("total", [np.zeros(3, np.uint32), None])
def test_what_is_no_sum_of_such_vectors_is_refused(federation, total):
    """The grid is on the server's side, and is believed no more than a reply is."""

    class Odd(Tap):
        can_add = True

        def add_up(self, addends, timeout):
            (nodes,) = addends.groups
            came = self.inner.add_up(addends, timeout).totals[0]
            odd = came | np.uint32(1 << 24) if total is None else total
            return Added({0: odd}, frozenset(nodes), {})

    names = tuple(federation.nodes)
    sums = collect(federation, Odd(grid_of(federation, WorkerPool(0))), (names,))
    assert not sums.sums
    assert set(sums.dropped) == set(names)


@pytest.mark.parametrize("mode", ["none", "secagg"])
def test_a_run_has_the_same_bytes_by_sums_and_by_messages_with_any_number_of_workers(
    mode, tmp_path
):
    federation = Federation(*SMALL, f"privacy={mode}", "rounds=2")
    seen = []
    for workers in (0, 1, 2, 3):
        for is_tapped in (False, True) if mode == "none" else (False,):
            folder = tmp_path / f"{workers}-{is_tapped}"
            with WorkerPool(workers) as pool:
                section, store = federation.plan.run.client, folder / "clients"
                grid = EmbeddedGrid(pool, federation.identities, section, Silent(), store)
                run_server(federation, Tap(grid) if is_tapped else grid, folder)
            rows = [
                {k: v for k, v in row.items() if k not in ("seconds", "time")}
                for row in read_lines(folder / "rounds.jsonl")
            ]
            weights = load_weights(folder / "model.safetensors")
            seen.append((rows, {k: v.tobytes() for k, v in weights.items()}))
    assert all(one == seen[0] for one in seen[1:])


STRATEGIES = sorted(path.stem for path in (ROOT / "conf" / "strategy").glob("*.yaml"))


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_the_same_bytes_by_sums_and_by_messages(name, tmp_path):
    words = [f"strategy={name}", "privacy=none", "task.num_clients=7", "rounds=2"]
    words += ["phases=[preprocess,train,validate,release]", "training.epochs=1"]
    if name == "flower":
        words.append("strategy.server._target_=flwr.serverapp.strategy.FedAvgM")
    try:
        federation = Federation(*words)
    except ConfigError:  # it needs several updates
        federation = Federation(*words, "privacy.groups=all")
    models = []
    for put in (lambda grid: grid, Tap):
        folder = tmp_path / str(len(models))
        section, store = federation.plan.run.client, folder / "clients"
        grid = EmbeddedGrid(WorkerPool(0), federation.identities, section, Silent(), store)
        run_server(federation, put(grid), folder)
        models.append((folder / "model.safetensors").read_bytes())
    assert models[0] == models[1]


def test_bunches_are_of_one_group_and_one_worker_and_get_smaller():
    """By hand: of the 6 s of the first worker's work a part is half of what is left."""
    costs = dict(enumerate([3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    assert list(deal((tuple(range(7)),), costs, 2)) == [
        *((0, (0,)), (0, (2, 4)), (0, (6,))),
        *((0, (1,)), (0, (3,)), (0, (5,))),
    ]
    even = list(deal((tuple(range(0, 32, 2)),), {}, 2))
    assert [len(nodes) for _, nodes in even] == [8, 4, 2, 1, 1]
    assert list(deal(((1, 2), (3,), ()), {3: 9.0}, 1)) == [(0, (1, 2)), (1, (3,))]
