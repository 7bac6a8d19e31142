"""Honest servers are refused nothing: flows recorded from the program, put before each client's ledger.

A site is started anew between any two orders, and has the limits of a day that the templates set.
`tests/support/traces.py` says how they are recorded anew, and `tests/support/flows.py` what they are.
"""

import json
from functools import cache

import pytest
from support.flows import FLOWS
from support.traces import FOLDER, Trace

from calyx.secagg.refusals import Refusal
from client.failures import ClientFailure


@cache
def text_of(name):
    return (FOLDER / f"{name}.json").read_text()


@cache
def trace(name):
    return Trace(text_of(name))


@cache
def ledgers(name):
    """What each client's ledger holds in the end."""
    return [trace(name).replay(client) for client in trace(name).clients]


@pytest.mark.parametrize("name", FLOWS)
def test_no_order_of_an_honest_server_is_refused(name):
    assert max(len(ledger.joins) for ledger in ledgers(name)) <= 1


def test_the_flows_are_of_all_that_happens():
    """What each is recorded for is in it: else it would pass for nothing."""

    def those(has):
        return {name for name in FLOWS if has(name)}

    def rows(name):
        return [row for rows in trace(name).clients.values() for row in rows]

    joined = those(lambda name: any(ledger.joins for ledger in ledgers(name)))
    assert joined == {
        "six-of-nine",
        "six-of-fourteen",
        "sampled-with-training",
        "comes-in-round-3",
        "new-rosters",
        "sampled-and-resumed",
    }
    again = those(lambda name: any(order.attempt > 1 for order in trace(name).orders))
    assert again == {"abandoned", "accused", "server-dies", "kept-audit"}
    given_up = those(lambda name: any(len(row) > 2 and row[2] and row[2][3] for row in rows(name)))
    assert given_up == {"abandoned", "accused", "server-dies"}
    lost = those(lambda name: _opened(rows(name)) - _linked(trace(name).orders))
    assert lost == {"a-group-fails", "early-stopping"}  # the latter's last training is discarded
    assert those(lambda name: any(len(row) == 2 for row in rows(name))) == {"kept-audit"}


def _opened(rows):
    return {row[1] for row in rows if len(row) > 2 and row[3]}


def _linked(orders):
    return {link.ctx for order in orders for link in order.previous}


CHANGES = {
    "the link to a client's own sum is left out": ("with-training", {"previous": []}),
    "members are dealt anew": ("groups", {"members": None}),
    "the model is another": ("separate", {"weights": "#99999"}),
}


@pytest.mark.parametrize(("name", "change"), CHANGES.values(), ids=CHANGES.keys())
def test_one_order_that_is_changed_is_refused(name, change):
    value = json.loads(text_of(name))
    last = next(one for one in reversed(value["orders"]) if one["kind"] == "train")
    last |= change
    changed = Trace(json.dumps(value))
    for client in changed.clients:
        with pytest.raises((Refusal, ClientFailure)):
            changed.replay(client)
