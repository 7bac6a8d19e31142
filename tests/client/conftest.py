"""Five encrypted clients, for the tests of this folder."""

import pytest
from support.clients import Clients
from support.federation import Federation

FIVE = ("privacy=secagg", "task.num_clients=5", "privacy.n_min=3", "privacy.h_min=1")


@pytest.fixture(scope="session")
def five():
    """The federation that the clients belong to."""
    return Federation(*FIVE)


@pytest.fixture
def clients(five):
    """Fresh clients, which remember nothing."""
    return Clients(five)
