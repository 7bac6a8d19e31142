"""The seam to Flower's simulation on Ray; needs the extra `ray`, and a contract test holds it.

Flower's own loop (`vce_api.run_api`), link state, grid and actors, with three of our own ways where
theirs wait or give up: messages ring a bell instead of waiting for the next poll, a client that is
late or dies costs its actor and not the run, and leaving ends every process. The server app runs in
the caller's thread, so that its exceptions and Ctrl-C need no queue. See docs/decisions/0017.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import ray
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.common.constant import PARTITION_ID_KEY
from flwr.proto.task_pb2 import Task
from flwr.server.superlink.fleet.vce import vce_api
from flwr.server.superlink.fleet.vce.backend.raybackend import RayBackend
from flwr.server.superlink.fleet.vce.metrics import VceMetrics
from flwr.server.superlink.linkstate import InMemoryLinkState, LinkStateFactory
from flwr.server.superlink.linkstate.in_memory_linkstate import RunRecord
from flwr.simulation.ray_transport.ray_actor import (
    BasicActorPool,
    ClientAppActor,
    pool_size_from_resources,
)
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid import InMemoryGrid
from typing_extensions import override

from calyx.errors import CalyxError, ConfigError
from calyx.flower.messages import SERVER_NODE, as_task, empty_run
from calyx.wire.messages import engine_failure

ONE_ACTOR: dict[str, int | float] = {"num_cpus": 1, "num_gpus": 0}
POLL_S = 0.02  # between two looks for replies
KNOCK_S = 5.0  # that a cluster may take to accept a connection
LATE = "no reply before the deadline"

Clients = Callable[[Message, Context], Message]  # picklable; a context carries its partition
OnProgress = Callable[[str, int, int], None]  # message type, how many answered, of how many


@dataclass(frozen=True)
class Cluster:
    """Where Ray runs, and how many clients at once."""

    address: str | None  # None: started on this machine, for this run
    workers: int | None  # actors; None is one a core of the cluster


class Simulation:
    """`count` simulated clients; a context manager that gives their grid, and ends everything."""

    def __init__(
        self, cluster: Cluster, clients: Clients, count: int, run_id: int, on_progress: OnProgress
    ) -> None:
        self._cluster, self._clients, self._count = cluster, clients, count
        self._run_id, self._on_progress = run_id, on_progress
        self._stop = _Bell()
        self._crash: list[Exception] = []

    def __enter__(self) -> "SimulationGrid":
        """Start Ray, or connect to it, and the loop. Raises CalyxError."""
        if not logging.getLogger().isEnabledFor(logging.DEBUG):
            # Flower logs each failure of a client three times; events.jsonl has it.
            logging.getLogger("flwr").setLevel(logging.CRITICAL)
        connect(self._cluster)
        try:
            self._backend = ActorBackend(_actors(self._cluster))
            return self._start()
        except BaseException:
            ray.shutdown()
            raise

    def __exit__(self, *exception: object) -> None:
        """End the clients that still work, the loop and our Ray."""
        try:
            self._stop.set()
            self._backend.terminate()
            self._thread.join()
        finally:
            ray.shutdown()

    def _start(self) -> "SimulationGrid":
        factory = LinkStateFactory(
            FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), ObjectStoreFactory()
        )
        run = empty_run(self._run_id)
        run.primary_task_id, run.federation_id = SERVER_NODE, NOOP_FEDERATION_ID
        state = cast(InMemoryLinkState, factory.state())
        state.run_ids[run.run_id] = RunRecord(run=run)
        state.task_store[SERVER_NODE] = Task(task_id=SERVER_NODE, run_id=run.run_id)
        partitions = vce_api._register_nodes(self._count, factory)
        stores = vce_api._register_node_info_stores(partitions, run)

        def loop() -> None:
            try:
                vce_api.run_api(
                    app_fn=_Load(self._clients),
                    backend_fn=lambda: self._backend,
                    nodes_mapping=partitions,
                    state_factory=factory,
                    node_info_stores=stores,
                    f_stop=self._stop,
                    metrics=VceMetrics(),
                )
            except Exception as error:  # noqa: BLE001 - the grid says it, in its own thread
                self._crash.append(error)

        self._thread = threading.Thread(target=loop, name="flower-simulation", daemon=True)
        self._thread.start()
        as_task(self._run_id)
        grid = SimulationGrid(factory, self._stop, self._backend, self._crash, self._on_progress)
        grid.set_run(run)
        return grid


@dataclass(frozen=True)
class _Load:
    """How an actor comes by its app: it is pickled with each message."""

    clients: Clients

    def __call__(self) -> ClientApp:
        return cast(ClientApp, self.clients)  # it is only ever called


class SimulationGrid(InMemoryGrid):
    """Flower's grid of a simulation, without its waits; who is late is said, as embedded does."""

    def __init__(
        self,
        factory: LinkStateFactory,
        bell: "_Bell",
        backend: "ActorBackend",
        crash: list[Exception],
        on_progress: OnProgress,
    ) -> None:
        super().__init__(factory, POLL_S)
        self._bell, self._backend, self._crash = bell, backend, crash
        self._on_progress = on_progress

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages, and wake the loop that delivers them."""
        ids = super().push_messages(messages)
        self._bell.ring()
        return ids

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Run the messages' clients; after `timeout` seconds the rest fail with a reason."""
        sent = list(messages)
        pushed = set(self.push_messages(sent))
        waiting = {m.metadata.message_id: m for m in sent if m.metadata.message_id in pushed}
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        replies: list[Message] = []
        while waiting and time.monotonic() < deadline:
            for reply in self.pull_messages(waiting):
                del waiting[reply.metadata.reply_to_message_id]
                replies.append(reply)
                self._on_progress(reply.metadata.message_type, len(replies), len(pushed))
            if self._crash:
                raise CalyxError(f"Flower's simulation has ended: {self._crash[0]}")
            if waiting:
                time.sleep(POLL_S)
        self._backend.give_up(waiting)
        return replies + [engine_failure(LATE, message) for message in waiting.values()]


class ActorBackend(RayBackend):
    """Flower's actors; one that dies, or whose client is late, is replaced."""

    def __init__(self, actors: int) -> None:
        super().__init__({"client_resources": dict(ONE_ACTOR)})
        self._actors = actors
        self._lock = threading.Lock()
        self._busy: dict[str, Any] = {}  # by message id; Ray gives actors no type
        self._given_up: set[str] = set()
        self._is_closed = False

    def build(self, app_fn: Callable[[], ClientApp]) -> None:
        """Start the actors."""
        self.app_fn = app_fn
        self.pool = BasicActorPool(cast(Any, ClientAppActor), self.client_resources, {})
        self.pool.add_actors_to_pool(self._actors)

    def process_message(self, message: Message, context: Context) -> tuple[Message, Context]:
        """Run a client on a free actor; Flower calls it from one thread an actor."""
        if self.pool is None:
            raise RuntimeError("build() comes first")
        ident, actors = message.metadata.message_id, cast(list[Any], self.pool.pool)
        with self._lock:
            if self._is_closed or ident in self._given_up:
                return engine_failure(LATE, message), context
            actor = self._busy[ident] = actors.pop()
        try:
            partition = str(context.node_config[PARTITION_ID_KEY])
            _, reply, changed = ray.get(actor.run.remote(self.app_fn, message, partition, context))
        except ray.exceptions.RayActorError:
            with self._lock:
                if not self._is_closed:
                    actor = cast(Any, self.pool).create_actor_fn()
            reason = LATE if ident in self._given_up else "its Ray actor died"
            return engine_failure(reason, message), context
        else:
            return reply, changed
        finally:
            with self._lock:
                del self._busy[ident]
                actors.append(actor)

    def give_up(self, idents: Iterable[str]) -> None:
        """End the clients of these messages, and never begin those that wait."""
        with self._lock:
            for ident in idents:
                self._given_up.add(ident)
                if ident in self._busy:
                    ray.kill(self._busy[ident])

    def terminate(self) -> None:
        """End all actors; more than once does no harm."""
        with self._lock:
            if self._is_closed or self.pool is None:
                return
            self._is_closed = True
            for actor in [*self.pool.pool, *self._busy.values()]:
                ray.kill(actor)


class _Bell(threading.Event):
    """Flower's stop signal; between two sweeps it waits for that, and a ring ends the wait."""

    def __init__(self) -> None:
        super().__init__()
        self._rung = threading.Event()

    def ring(self) -> None:
        """There is something to deliver."""
        self._rung.set()

    @override
    def set(self) -> None:
        super().set()
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether to stop; returns at the ring or after `timeout` seconds."""
        self._rung.wait(timeout)
        self._rung.clear()
        return self.is_set()


def connect(cluster: Cluster) -> None:
    """Start a Ray of our own, or join the cluster. Raises CalyxError."""
    quiet: dict[str, Any] = {  # Ray's own arguments
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": False,
    }
    local: dict[str, Any] = {"address": "local", "include_dashboard": False}
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        if cluster.address is None:
            ray.init(**local, num_cpus=cluster.workers, **quiet)
        else:
            _knock(cluster.address)
            ray.init(address=cluster.address, **quiet)
    except Exception as error:
        where = "cannot start here" if cluster.address is None else f"is not at {cluster.address}"
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CalyxError(f"Ray {where}: {first}. See engine.address in docs/ray.md.") from error


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would ask for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


def _actors(cluster: Cluster) -> int:
    """How many actors to start. Raises ConfigError if there cannot be so many."""
    has = pool_size_from_resources(ONE_ACTOR)
    most = min(has, 32, (os.cpu_count() or 1) + 4)  # threads of Flower's loop, one an actor
    if cluster.workers is not None and cluster.workers > most:
        raise ConfigError(
            f"engine.workers={cluster.workers} is more than {most}: Ray has {has} cores, and Flower "
            f"drives at most {min(32, (os.cpu_count() or 1) + 4)} actors from this machine."
        )
    return cluster.workers or most
