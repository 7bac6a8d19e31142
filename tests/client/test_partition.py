"""A client of `flwr run`: which one it is follows from Flower's partition."""

import pytest
from flwr.app import Context, RecordDict

from calyx.errors import ConfigError
from client.config import node_config, read_site
from client.partition import node_values

CONFIG = {"config": "privacy=none task.num_clients=3"}


def context(values, run_config=None):
    return Context(1, 7, values, RecordDict(), run_config or {})


def test_a_partition_is_a_client_of_the_task():
    site = read_site(node_values(context({"partition-id": 2, "num-partitions": 3}, CONFIG)))
    assert (site.name, site.policy.privacy, site.member) == ("client-02", "none", None)


def test_a_client_with_a_name_is_never_a_partition():
    """Else a server's run config could be a site's policy."""
    values = node_config("north", {"policy": "mine"})
    assert node_values(context(values | {"partition-id": 0}, CONFIG)) == values | {
        "partition-id": 0
    }


@pytest.mark.parametrize("number", [3, -1, "0"])
def test_a_partition_that_is_no_client_is_refused(number):
    with pytest.raises(ConfigError, match="is none of this task's 3 clients"):
        node_values(context({"partition-id": number}, CONFIG))


def test_without_either_nobody_is_there():
    with pytest.raises(ConfigError, match="needs client-name"):
        read_site(node_values(context({})))
