"""Sums that workers make are those of messages, whoever computes them and whatever becomes of a worker."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from support.federation import Federation, Silent
from support.taps import Tap, run_server

from calyx.files.plain import read_lines
from calyx.model.weights import load_weights
from calyx.questions.segments import Inquiry
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.sums import deal
from calyx.simulation.workers import WorkerPool
from calyx.wire import messages as wire
from client import reply
from server.exchange.cohort_grid import CohortGrid
from server.exchange.exchange import Exchange
from server.exchange.plain_sums import Added, collect_plain

SMALL = ("task.num_clients=5", "training.epochs=1")


@pytest.fixture(scope="module")
def federation():
    return Federation(*SMALL, "privacy.bits=24")


def collect(federation, grid, groups, kind="train"):
    """The sums of a first round, over this grid."""
    setting = federation.setting
    exchange = Exchange(kind, 1, groups, is_validated=kind == "train")
    inquiry = Inquiry(setting.contents, setting.run.privacy, setting.terms, exchange.is_validated)
    segments = exchange.question.segments(inquiry)
    order = CohortGrid(federation.over(grid), exchange)._write_order(federation.template)
    content = wire.order_content(federation.template, order)
    return collect_plain(federation.over(grid).clients.channel, exchange, content, segments)


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


def test_bunches_are_of_one_group_and_get_smaller_so_that_workers_end_together():
    """By hand: of 10 s of work for two workers a part is a quarter of what is left."""
    costs = dict(enumerate([4.0, 2.0, 1.0, 1.0, 1.0, 1.0]))
    assert list(deal(((0, 1, 2, 3, 4, 5),), costs, 2)) == [
        (0, (0,)),
        (0, (1,)),
        (0, (2,)),
        (0, (3,)),
        (0, (4,)),
        (0, (5,)),
    ]
    even = list(deal((tuple(range(16)),), {}, 2))
    assert [len(nodes) for _, nodes in even] == [4, 3, 3, 2, 1, 1, 1, 1]
    assert list(deal(((1, 2), (3,), ()), {3: 9.0}, 1)) == [(0, (1, 2)), (1, (3,))]
