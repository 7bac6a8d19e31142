"""Who is there, by name."""

import pytest
from support.federation import Federation, Silent
from support.taps import Tap

from calyx.errors import CalyxError
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.identities import throw_away
from calyx.simulation.workers import WorkerPool
from server.exchange.nodes import read_nodes


def borrow_name(grid, node, other):
    contexts = [grid.clients.context_of(one, None) for one in (node, other)]
    contexts[0].node_config = contexts[1].node_config


def test_names_are_asked_for_and_sorted():
    grid = Federation().inner
    assert list(read_nodes(Tap(grid), 5.0)) == ["client-00", "client-01", "client-02"]


def test_a_grid_that_knows_its_clients_is_asked_for_nobody():
    tap = Tap(Federation().inner)
    tap.client_nodes = tap.inner.client_nodes
    assert dict(read_nodes(tap, 5.0)) == read_nodes(Tap(tap.inner), 5.0)
    assert tap.sent == []


def test_two_nodes_of_one_name_are_refused():
    grid = Federation().inner
    first, second, _ = grid.get_node_ids()
    borrow_name(grid, second, first)
    with pytest.raises(CalyxError, match="call themselves client-00"):
        read_nodes(Tap(grid), 5.0)


def test_a_member_that_calls_itself_like_another_is_left_out_and_ends_no_run(monkeypatch, caplog):
    """The operator has given each node key a name, and knows whose it is."""
    federation = Federation()
    grid, nodes = federation.inner, dict(federation.nodes)
    first, second, _ = grid.get_node_ids()
    borrow_name(grid, second, first)
    registered = {node: name for name, node in nodes.items()}
    monkeypatch.setattr("server.exchange.nodes.registered_names", lambda _: registered)
    assert read_nodes(Tap(grid), 5.0) == {n: i for n, i in nodes.items() if i != second}
    assert f"Node {second} is left out: it calls itself client-00" in caplog.text


def test_a_run_without_clients_is_refused():
    section = Federation().plan.run.client
    grid = EmbeddedGrid(WorkerPool(0), throw_away([], is_encrypted=False), section, Silent())
    with pytest.raises(CalyxError, match="No client answered"):
        read_nodes(Tap(grid), 5.0)
