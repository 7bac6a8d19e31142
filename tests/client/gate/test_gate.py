"""Every question passes one gate, in the order of docs/decisions/0064."""

from contextlib import suppress

import pytest
from flwr.app import Message
from support.clients import code_of

from calyx.errors import CalyxError
from calyx.model.weights import hash_weights
from calyx.run.order import to_json
from calyx.wire import messages as wire
from client.app import app
from client.gate import assignment, secure_mod
from client.gate.ledger import Ledger

PLACES = {
    "policy": (assignment, "check_policy"),
    "agreed": (assignment, "check_agreed"),
    "weights": (assignment, "_read_weights"),
    "segments": (assignment, "Inquiry"),
    "context": (secure_mod, "open_context"),
    "ledger": (Ledger, "check_order"),
    "rows": (assignment, "read_settled"),
    "noted": (Ledger, "note_order"),
}
BEFORE = ["policy", "agreed", "weights", "segments", "context", "ledger"]


@pytest.fixture
def steps(monkeypatch):
    """The steps of the gate, as they are begun."""
    begun = []

    def watch(step, function):
        return lambda *args, **kwargs: begun.append(step) or function(*args, **kwargs)

    for step, (place, name) in PLACES.items():
        monkeypatch.setattr(place, name, watch(step, getattr(place, name)))
    return begun


def test_a_training_is_noted_before_its_rows_are_read(clients, steps):
    assert clients.ask(clients.names[0], clients.order()).has_content()
    assert steps == [*BEFORE, "noted", "rows"]


def test_statistics_whose_key_is_the_version_of_the_rows_read_them_once_all_else_is_admitted(
    clients, steps
):
    order = clients.order(kind="statistics", round=0, weights=hash_weights({}))
    assert clients.ask(clients.names[0], order, weights={}).has_content()
    assert steps == [*BEFORE, "rows", "noted"]


@pytest.mark.parametrize("is_site", [False, True])
def test_only_simulated_clients_of_one_process_share_what_an_order_asks_of_all(
    clients, steps, tmp_path, is_site
):
    """Decision 0073: of the very same message the first client's look at it stands for all."""
    content = wire.order_content(clients.federation.template, to_json(clients.order()))
    for name in clients.names[:2]:
        own = {"state_dir": str(tmp_path / name)} if is_site else {}
        context = clients.fresh(name, **own)
        assert app(Message(content, context.node_id, "train"), context).has_content()
    alike = BEFORE.index("context")
    assert steps == [*BEFORE, "noted", "rows", *BEFORE[0 if is_site else alike :], "noted", "rows"]


@pytest.mark.parametrize(
    "change",
    [
        {"round": 3},  # a training without its links
        {"weights": "0" * 64},
        {"kind": "evaluate"},
        {"kind": "cv"},
        {"kind": "sing"},
        {"kind": "statistics"},  # of round 1
        {"groups": ()},
        {"best": 7},
    ],
    ids=str,
)
def test_an_order_that_is_refused_is_not_noted_and_no_row_is_read(clients, steps, change):
    name, sound = clients.names[0], clients.order()
    kept = {**clients.contexts[name].state}
    order = clients.order(**change)
    with suppress(CalyxError):  # of a kind that nobody can send
        assert code_of(clients.ask(name, order))
    assert not {"noted", "rows"} & {*steps}
    assert {**clients.contexts[name].state} == kept
    assert clients.ask(name, sound).has_content()
