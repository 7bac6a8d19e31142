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


@pytest.mark.parametrize("name", FLOWS)
def test_no_order_of_an_honest_server_is_refused(name):
    trace = Trace(text_of(name))
    for client in trace.clients:
        assert len(trace.replay(client).joins) <= 1


def test_the_flows_are_of_all_that_happens():
    """What each is recorded for is in it: else it would pass for nothing."""
    traces = {name: Trace(text_of(name)) for name in FLOWS}
    told = {
        name: [one for mine in trace.clients.values() for one in mine]
        for name, trace in traces.items()
    }
    joined = {name for name, t in traces.items() if any(t.replay(c).joins for c in t.clients)}
    assert joined >= {"comes-in-round-3", "six-of-fourteen"}
    attempts = {name for name, t in traces.items() if any(o.attempt > 1 for o in t.orders)}
    assert attempts == {"abandoned", "accused", "server-dies"}
    given_up = {name for name in FLOWS if any(len(o) > 2 and o[2] and o[2][3] for o in told[name])}
    assert given_up == {"abandoned", "server-dies"}
    assert {name for name in FLOWS if any(len(one) == 2 for one in told[name])} == {"kept-audit"}


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
    trace = Trace(json.dumps(value))
    for client in trace.clients:
        with pytest.raises((Refusal, ClientFailure)):
            trace.replay(client)
