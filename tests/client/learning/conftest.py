"""Clients that have been let in, for the tests of what they answer."""

import pytest
from flwr.app import Message

from calyx.run.order import to_json
from calyx.wire import messages as wire
from client.config import read_site
from client.gate.assignment import admit, open_assignment
from client.partition import node_values


@pytest.fixture
def assignments(clients):
    """Three clients of one run, each with the first order to train and to validate."""
    order = clients.order(is_validated=True)
    content = wire.order_content(clients.federation.template, to_json(order))
    opened = []
    for name in clients.names[:3]:
        context = clients.contexts[name]
        message = Message(content, context.node_id, "train")
        site = read_site(node_values(context))
        opened.append(open_assignment(admit(message, site, "train"), context, site))
    return opened
