"""The contract with Flower's simulation on Ray: what calyx/flower/ray.py relies on. No Ray starts."""

import inspect
import pickle
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the extra `ray` is not installed")

from flwr.app import Context, Message, RecordDict
from flwr.server.superlink.fleet.vce import vce_api
from flwr.server.superlink.fleet.vce.backend.raybackend import RayBackend
from flwr.simulation.ray_transport.ray_actor import BasicActorPool, VirtualClientEngineActor
from flwr.superlink.grid import InMemoryGrid

from calyx.errors import CalyxError, ConfigError, RoundFailed
from calyx.flower import ray as flower_ray
from calyx.flower.messages import as_task
from calyx.simulation.identities import throw_away
from calyx.simulation.ray import PARTITION, SimulatedClients
from calyx.wire.messages import failure_reason


def parameters(function):
    return list(inspect.signature(function).parameters)


def test_flowers_loop_takes_what_we_give_it():
    assert parameters(vce_api.run_api) == [
        "app_fn",
        "backend_fn",
        "nodes_mapping",
        "state_factory",
        "node_info_stores",
        "f_stop",
        "metrics",
    ]
    assert parameters(vce_api._register_nodes) == ["num_nodes", "state_factory"]
    assert parameters(vce_api._register_node_info_stores)[:2] == ["nodes_mapping", "run"]


def test_flowers_actors_and_grid_have_the_members_that_ours_use():
    assert parameters(VirtualClientEngineActor.run)[1:5] == [  # Ray adds one
        "client_app_fn",
        "message",
        "cid",
        "context",
    ]
    assert parameters(BasicActorPool) == ["actor_type", "client_resources", "actor_kwargs"]
    assert parameters(InMemoryGrid) == ["state_factory", "pull_interval"]
    assert not flower_ray.SimulationGrid.__abstractmethods__
    assert not flower_ray.ActorBackend.__abstractmethods__
    assert vce_api.PARTITION_ID_KEY == PARTITION
    for name in ("build", "process_message", "terminate"):
        ours, theirs = getattr(flower_ray.ActorBackend, name), getattr(RayBackend, name)
        assert parameters(ours) == parameters(theirs)


@dataclass
class Actors:
    """Stands in for the backend: each message is answered here, or never."""

    answers: bool
    given_up: set
    num_workers: int = 1

    def build(self, app_fn):
        self.app = app_fn()

    def process_message(self, message, context):
        if not self.answers:
            raise RuntimeError("secret row")
        return self.app(message=message, context=context), context

    def give_up(self, idents):
        self.given_up |= set(idents)

    def terminate(self):
        pass


def reply(message, context):
    return Message(RecordDict(), reply_to=message)


@pytest.fixture
def simulation(monkeypatch):
    """Flower's real loop and link state over two clients of these actors."""
    monkeypatch.setattr(flower_ray.ray, "shutdown", lambda: None)
    monkeypatch.setattr(flower_ray, "connect", lambda _: None)
    monkeypatch.setattr(flower_ray, "_actors", lambda _: 1)
    progress = []

    def make(actors):
        monkeypatch.setattr(flower_ray, "ActorBackend", lambda _: actors)
        cluster = flower_ray.Cluster(None, 1)
        seen = lambda *what: progress.append(what)  # noqa: E731 - one line of a fixture
        return flower_ray.Simulation(cluster, reply, 2, 1, seen)

    return make, progress


def questions(grid):
    return [Message(RecordDict(), node, "query.name") for node in grid.get_node_ids()]


def test_messages_go_through_flowers_loop_and_come_back(simulation):
    make, progress = simulation
    with make(Actors(True, set())) as grid:
        replies = list(grid.send_and_receive(questions(grid), timeout=30))
        nodes = set(grid.get_node_ids())
    assert {m.metadata.src_node_id for m in replies} == nodes
    assert len(nodes) == 2
    assert progress == [("query.name", 1, 2), ("query.name", 2, 2)]
    assert not [t for t in threading.enumerate() if t.name == "flower-simulation"]


def test_an_exception_in_the_backend_is_a_failure_without_its_text(simulation):
    make, _ = simulation
    with make(Actors(False, set())) as grid:
        replies = list(grid.send_and_receive(questions(grid), timeout=30))
    assert [m.has_error() for m in replies] == [True, True]
    assert not any("secret" in failure_reason(m) for m in replies)


def test_who_is_late_is_given_up_with_a_reason(simulation):
    make, _ = simulation
    actors = Actors(True, set())
    with make(actors) as grid:
        replies = list(grid.send_and_receive(questions(grid), timeout=0))
    assert {failure_reason(m) for m in replies} == {"no reply before the deadline"}
    assert len(actors.given_up) == 2


def test_a_loop_that_ends_by_itself_is_said(simulation):
    make, _ = simulation
    actors = Actors(True, set())
    actors.build = lambda app_fn: 1 / 0
    with make(actors) as grid, pytest.raises(CalyxError, match="Flower's simulation has ended"):
        list(grid.send_and_receive(questions(grid), timeout=30))


def test_a_ring_ends_a_wait_and_is_no_stop():
    bell = flower_ray._Bell()
    bell.ring()
    assert not bell.wait(30)
    bell.set()
    assert bell.wait(30)
    assert bell.wait(0)


def test_more_actors_than_there_can_be_are_refused(monkeypatch):
    monkeypatch.setattr(flower_ray, "pool_size_from_resources", lambda _: 3)
    assert flower_ray._actors(flower_ray.Cluster("auto", None)) == 3
    assert flower_ray._actors(flower_ray.Cluster("auto", 2)) == 2
    with pytest.raises(ConfigError, match=r"engine\.workers=4 is more than 3"):
        flower_ray._actors(flower_ray.Cluster("auto", 4))


def test_a_cluster_that_is_not_there_is_a_failure_with_a_sentence():
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(CalyxError, match=f"Ray is not at {address}: .*refused"):
            flower_ray.connect(flower_ray.Cluster(address, None))


@pytest.mark.parametrize("error", [RoundFailed("3 are left"), KeyboardInterrupt("go on with")])
def test_what_ends_the_server_app_comes_out_and_the_loop_ends(simulation, error):
    make, _ = simulation
    with pytest.raises(type(error), match=str(error)), make(Actors(True, set())):
        raise error
    assert not [t for t in threading.enumerate() if t.name == "flower-simulation"]


def node(partition):
    return Context(1, 5, {PARTITION: partition, "num-partitions": 2}, RecordDict(), {})


def test_a_client_is_its_partition_and_its_keys_are_shown_to_nobody(monkeypatch):
    from calyx.flower.bundle import code_hash

    identities = throw_away(["a", "b"])
    clients = SimulatedClients(identities, {"x": 1}, code_hash(), Path("clients"))
    clients = pickle.loads(pickle.dumps(clients))
    monkeypatch.setattr("client.app.app", lambda _, context: context)
    as_task(1)
    context = node(1)
    own = clients(Message(RecordDict(), 5, "train"), context)
    assert own.node_config["client-name"] == "b"
    assert own.node_config["client-identity"] == identities.private_of("b").hex()
    assert own.state is context.state
    assert "client-name" not in context.node_config
    shown = repr(clients)
    secrets = [identities.secret, *map(identities.private_of, "ab")]
    assert not any(k.hex() in shown or repr(k) in shown for k in secrets)


def test_a_machine_with_other_code_does_not_train():
    clients = SimulatedClients(throw_away(["a"]), {}, "0" * 64, Path("clients"))
    as_task(1)
    answer = clients(Message(RecordDict(), 5, "train"), node(0))
    assert failure_reason(answer) == "its machine has other code than the launcher"
