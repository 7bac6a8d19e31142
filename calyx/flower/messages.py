"""The one seam to Flower's internals; a contract test holds it. Flower is pinned to 1.41.

Beside it are a site's connection (`calyx/flower/site.py`), a server's grid
(`calyx/flower/replies.py`) and what its gateway sees (`calyx/flower/fleet.py`).

Everything else in Calyx uses the public `flwr.app`, `flwr.serverapp` and `flwr.clientapp` only.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flwr.app import Message, Metadata, RecordDict
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from calyx.errors import UserError

__all__ = [
    "SERVER_NODE",
    "Node",
    "Operator",
    "Run",
    "as_nobody",
    "as_task",
    "build_bundle",
    "client_of_api",
    "empty_run",
    "label_message",
    "quiet_flower",
    "rebuild_message",
    "take_times_of",
]

SERVER_NODE = 1  # the node id that Flower gives its server
FLEET_PATHS = frozenset(  # what a SuperNode with a registered key calls; it cannot register itself
    {
        "activate-node",
        "deactivate-node",
        "send-node-heartbeat",
        "pull-messages",
        "push-messages",
        "get-run",
        "get-fab",
        "push-object",
        "pull-object",
        "confirm-message-received",
    }
)
FLEET_PREFIX = "/v1/fleet/"
SITE_HEADER = "flwr-public-key"  # says which node calls
SIGNATURE_HEADER, TIME_HEADER = "flwr-signature", "flwr-timestamp"  # of the time of the call
# A question costs a SuperLink some 40 ms of work: asked more often, it answers nobody sooner.
_SHORTEST_WAIT_S, _LONGEST_WAIT_S, _IDLE_WAIT_S = 0.3, 0.6, 2.0
_IDLE_AFTER_S = 60.0
_CONTROL_TIMEOUT_S = 30.0  # Flower's own


def as_task(run_id: int, node_id: int = SERVER_NODE) -> None:
    """Say who this process is: a `Message` cannot be made before."""
    TaskIdentity.run_id = run_id
    TaskIdentity.node_id = node_id
    TaskIdentity.task_id = node_id


@contextmanager
def as_nobody() -> Iterator[None]:
    """Let messages be made that nobody is sent; afterwards the process is who it was."""
    names = ("_run_id", "_node_id", "_task_id")
    before = {name: getattr(TaskIdentity, name) for name in names}
    as_task(0)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(TaskIdentity, name, value)


def empty_run(run_id: int) -> Run:
    """A description of a run that no SuperLink knows."""
    return Run.create_empty(run_id)


def label_message(metadata: Metadata, message_id: str) -> None:
    """Give a message the id that a SuperLink would give it, so that replies can name it."""
    metadata.__dict__["_message_id"] = message_id


def take_times_of(metadata: Metadata, asked: Metadata) -> None:
    """Give a reply's `metadata` the times of what it answers.

    Flower's own say when the reply was made: as `created_at`, and as the lifetime that is left.
    """
    metadata.created_at, metadata.ttl = asked.created_at, asked.ttl


def rebuild_message(metadata: Metadata, content: RecordDict) -> Message:
    """A message as it was before it went through a pipe; Flower's own engines do the same."""
    # Flower's types name the public forms only.
    message: Message = Message(metadata=metadata, content=content)  # type: ignore[call-overload]
    return message


def quiet_flower() -> None:
    """Flower logs two lines a stage at INFO; ours say more. Warnings and errors remain."""
    logging.getLogger("flwr").setLevel(logging.WARNING)


class Patience:
    """Waits that grow while nothing happens: from 0.3 s to 0.6 s, and to 2 s after a minute."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Wait as briefly as at first: something has happened."""
        self._wait_s, self._since = _SHORTEST_WAIT_S, time.monotonic()

    def sleep(self) -> None:
        """Wait, and wait longer the next time."""
        time.sleep(self._wait_s)
        is_idle = time.monotonic() - self._since > _IDLE_AFTER_S
        longest = _IDLE_WAIT_S if is_idle else _LONGEST_WAIT_S
        self._wait_s = min(self._wait_s * 1.3, longest)


def client_of_api(api: Any, address: str, interceptors: Sequence[Any], http: Any) -> Any:  # noqa: ANN401 - Flower's
    """A client `api` of one of Flower's interfaces at HOST:PORT, which calls by our `http`.

    The one that Flower makes goes through the environment's proxies, also to this machine, and
    cannot even be made where one of them is of a kind that it does not know.
    """
    client = api.__new__(api)
    client._base_url, client._interceptors = f"https://{address}", tuple(interceptors)
    client._retry_invoker, client._client = None, http
    return client


def build_bundle(files: Mapping[str, bytes]) -> bytes:
    """A Flower app bundle of these files; equal files give equal bytes."""
    from flwr.cli.build import build_fab_from_files

    content: bytes = build_fab_from_files(dict(files))[0]
    return content


@dataclass(frozen=True)
class Node:
    """A site that is registered with the SuperLink, and whether it is connected."""

    name: str
    node_id: int
    status: str
    public_key: bytes  # PEM


class Operator:
    """The Control API of a SuperLink, which is reachable on the operator's machine only."""

    def __init__(self, address: str, authority: Path) -> None:
        import ssl

        import httpx
        from flwr.supercore.control.control_http_client import ControlHttpClient
        from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

        interceptors = (RuntimeVersionHttpInterceptor(component_name="flwr CLI"),)
        trusted = ssl.create_default_context(cafile=str(authority))
        http = httpx.Client(verify=trusted, timeout=_CONTROL_TIMEOUT_S, trust_env=False)
        self._client = client_of_api(ControlHttpClient, address, interceptors, http)

    def nodes(self) -> list[Node]:
        """Every site that may connect."""
        from flwr.proto.control_pb2 import ListNodesRequest

        infos = self._client.ListNodes(ListNodesRequest()).nodes_info
        return [
            Node(node.name, node.node_id, node.status, bytes(node.public_key))
            for node in infos
            if node.status != "unregistered"
        ]

    def register(self, name: str, public_key: bytes) -> None:
        """Let the site with this node key (PEM) connect. Raises UserError for one that was removed."""
        import httpx
        from flwr.proto.control_pb2 import RegisterNodeRequest

        try:
            self._client.RegisterNode(RegisterNodeRequest(public_key=public_key, name=name))
        except httpx.HTTPStatusError:
            raise UserError(
                f"The SuperLink refuses the node key of {name}: it is no such key, or was removed "
                "before. The site makes a new one with `calyx keys site`."
            ) from None

    def unregister(self, node_id: int) -> None:
        """Let this site connect no more."""
        from flwr.proto.control_pb2 import UnregisterNodeRequest

        self._client.UnregisterNode(UnregisterNodeRequest(node_id=node_id))

    def start(self, bundle: bytes, run_config: Mapping[str, str]) -> int:
        """Start a run; Flower's id of it."""
        import hashlib

        from flwr.common.serde import fab_to_proto, user_config_to_proto
        from flwr.proto.control_pb2 import StartRunRequest
        from flwr.supercore.fab import Fab

        fab = Fab(hashlib.sha256(bundle).hexdigest(), bundle, {})
        request = StartRunRequest(
            fab=fab_to_proto(fab), override_config=user_config_to_proto(dict(run_config))
        )
        return int(self._client.StartRun(request).run_id)

    def status(self, run_id: int) -> tuple[str, str, str]:
        """The status of a run, how it ended, and in which words."""
        from flwr.proto.control_pb2 import ListRunsRequest

        (run,) = self._client.ListRuns(ListRunsRequest(run_id=run_id)).run_dict.values()
        return run.status.status, run.status.sub_status, run.status.details

    def runs(self) -> dict[int, str]:
        """Status of every run that the SuperLink knows."""
        from flwr.proto.control_pb2 import ListRunsRequest

        runs = self._client.ListRuns(ListRunsRequest()).run_dict
        return {run_id: f"{r.status.status} {r.status.sub_status}" for run_id, r in runs.items()}

    def stop(self, run_id: int) -> None:
        """Stop a run."""
        from flwr.proto.control_pb2 import StopRunRequest

        self._client.StopRun(StopRunRequest(run_id=run_id))
