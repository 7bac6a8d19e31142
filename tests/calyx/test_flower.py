"""The contract with Flower's internals: what calyx/flower.py and our two grids rely on."""

import pytest
from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from packaging.version import Version

from calyx.flower import SERVER_NODE, as_task, empty_run, label_message, rebuild_message
from engines.embedded import EmbeddedGrid
from server.cohort_grid import CohortGrid
from strategies.base import AlgorithmStrategy


def test_flower_is_the_version_that_was_tried():
    from importlib.metadata import version

    assert Version("1.41") <= Version(version("flwr")) < Version("1.42")


def test_a_message_can_be_made_labelled_and_rebuilt():
    as_task(7)
    message = Message(RecordDict(), dst_node_id=5, message_type="train")
    assert (message.metadata.run_id, message.metadata.src_node_id) == (7, SERVER_NODE)
    label_message(message.metadata, "m-1")
    assert Message(RecordDict(), reply_to=message).metadata.reply_to_message_id == "m-1"
    again = rebuild_message(message.metadata, message.content)
    assert (again.metadata, again.content) == (message.metadata, message.content)
    assert empty_run(7).run_id == 7


@pytest.mark.parametrize("ours", [EmbeddedGrid, CohortGrid])
def test_a_grid_has_the_members_that_ours_implement(ours):
    expected = {
        "create_message",
        "get_node_ids",
        "pull_messages",
        "push_messages",
        "run",
        "send_and_receive",
        "set_run",
    }
    assert Grid.__abstractmethods__ == expected
    assert not ours.__abstractmethods__


def test_a_strategy_has_the_four_methods_and_a_summary():
    expected = {
        "configure_train",
        "aggregate_train",
        "configure_evaluate",
        "aggregate_evaluate",
        "summary",
    }
    assert Strategy.__abstractmethods__ == expected
    assert not AlgorithmStrategy.__abstractmethods__
