"""Honest runs pass a client's ledger: what servers asked, recorded (`support.traces`), asked again.

The limits are those of the templates, all of a flow falls on one day, and the ledger is read anew
before each order, as after a restart of the client.
"""

import pytest
from support.traces import FLOWS, FOLDER, replay


@pytest.mark.parametrize("flow", FLOWS)
def test_nothing_of_an_honest_run_is_refused_with_a_restart_between_any_two_orders(flow):
    assert replay((FOLDER / f"{flow}.json").read_text()) <= 1  # joins of a client
