"""The contract with Flower's internals: what calyx/flower/messages.py and our two grids rely on."""

import inspect
import pickle

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Strategy
from flwr.supercore.task_identity import TaskIdentity
from packaging.version import Version

from calyx.flower import site as flower_site
from calyx.flower.messages import (
    FLEET_PATHS,
    FLEET_PREFIX,
    SERVER_NODE,
    Run,
    as_task,
    client_of_api,
    empty_run,
    label_message,
    rebuild_message,
)
from calyx.simulation.embedded import EmbeddedGrid
from calyx.wire import messages as wire
from server.exchange.cohort_grid import CohortGrid
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


def test_a_process_has_an_identity_of_three_numbers():
    as_task(7, 5)
    assert (TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id) == (7, 5, 5)


def test_a_run_can_be_described_by_its_id_alone():
    assert list(inspect.signature(Run.create_empty).parameters) == ["run_id"]
    assert isinstance(empty_run(3), Run)


def test_the_id_of_a_message_lies_where_we_put_it():
    as_task(7)
    metadata = Message(RecordDict(), dst_node_id=5, message_type="train").metadata
    assert "_message_id" in metadata.__dict__
    label_message(metadata, "m-2")
    assert metadata.message_id == "m-2"


def test_a_reply_goes_back_to_who_asked_with_content_or_with_an_error():
    as_task(7)
    message = Message(RecordDict(), dst_node_id=5, message_type="query.name")
    label_message(message.metadata, "m-3")
    for reply in (
        Message(RecordDict(), reply_to=message),
        Message(Error(100, "x"), reply_to=message),
    ):
        assert (reply.metadata.src_node_id, reply.metadata.dst_node_id) == (5, SERVER_NODE)
        assert reply.metadata.message_type == "query.name"
        assert reply.has_error() is not reply.has_content()


def test_a_message_goes_through_a_pipe_in_two_parts():
    as_task(7)
    message = Message(RecordDict({"c": ConfigRecord({"x": 1})}), 5, "train")
    label_message(message.metadata, "m-4")
    metadata, content = pickle.loads(pickle.dumps((message.metadata, message.content)))
    again = rebuild_message(metadata, content)
    assert again.metadata.message_id == "m-4"
    assert again.content["c"]["x"] == 1


@pytest.mark.parametrize("ours", [EmbeddedGrid, CohortGrid])
def test_our_grids_take_what_flowers_loop_gives_them(ours):
    for name in ("create_message", "send_and_receive", "push_messages", "pull_messages"):
        theirs = inspect.signature(getattr(Grid, name)).parameters
        mine = inspect.signature(getattr(ours, name)).parameters
        assert [(p.name, p.kind, p.default) for p in mine.values()] == [
            (p.name, p.kind, p.default) for p in theirs.values()
        ]


def test_our_strategy_takes_what_flowers_loop_gives_it():
    for name in Strategy.__abstractmethods__:
        theirs = inspect.signature(getattr(Strategy, name)).parameters
        assert list(inspect.signature(getattr(AlgorithmStrategy, name)).parameters) == list(theirs)


def test_flower_weighs_replies_by_the_key_that_ours_carry():
    assert inspect.signature(FedAvg).parameters["weighted_by_key"].default == wire.WEIGHT_KEY


def test_the_fleet_api_is_called_as_flower_itself_calls_it():
    """What `SiteLink`, `Operator` and `send_and_wait` take from Flower's internals is there."""
    import inspect
    import re

    from flwr.cli.build import build_fab_from_files
    from flwr.common.constant import HEARTBEAT_DEFAULT_INTERVAL
    from flwr.supercore.control.control_http_client import ControlHttpClient
    from flwr.supercore.heartbeat import HeartbeatSender
    from flwr.superlink.grid.http_grid import HttpGrid
    from flwr.supernode.fleet_http_client import FleetHttpClient
    from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

    assert list(inspect.signature(HeartbeatSender).parameters) == ["heartbeat_fn"]
    assert HEARTBEAT_DEFAULT_INTERVAL == flower_site._HEARTBEAT_S
    assert list(inspect.signature(NodeAuthHttpInterceptor).parameters) == [
        "private_key",
        "public_key",
    ]
    for method in (
        "ActivateNode",
        "DeactivateNode",
        "SendNodeHeartbeat",
        "PullMessages",
        "PushMessages",
        "GetRun",
        "PullObject",
        "PushObject",
        "ConfirmMessageReceived",
    ):
        assert list(inspect.signature(getattr(FleetHttpClient, method)).parameters)[1:] == [
            "request"
        ]
    for method in (
        "StartRun",
        "StopRun",
        "ListRuns",
        "ListNodes",
        "RegisterNode",
        "UnregisterNode",
    ):
        assert callable(getattr(ControlHttpClient, method))
    assert {"push_messages", "pull_messages"} <= set(vars(HttpGrid))
    assert next(iter(inspect.signature(build_fab_from_files).parameters)) == "files"
    paths = set(re.findall(f'"{FLEET_PREFIX}([^"]+)"', inspect.getsource(FleetHttpClient)))
    # A new path would be refused by the gateway until somebody has looked at it.
    assert paths - {"register-node", "unregister-node"} == FLEET_PATHS


def test_a_client_of_an_interface_has_what_flower_would_give_it():
    from flwr.supercore.control.control_http_client import ControlHttpClient

    theirs = ControlHttpClient("https://127.0.0.1:1", interceptors=())
    ours = client_of_api(ControlHttpClient, "127.0.0.1:1", (), theirs._client)
    assert vars(ours) == vars(theirs)
    theirs._client.close()
