"""The one seam to Flower's internals; a contract test holds it. Flower is pinned to 1.41.

Everything else in Calyx uses the public `flwr.app`, `flwr.serverapp` and `flwr.clientapp` only.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flwr.app import Message, Metadata, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from calyx.errors import CalyxError

__all__ = [
    "SERVER_NODE",
    "Operator",
    "Run",
    "SiteLink",
    "as_task",
    "build_bundle",
    "connect_site",
    "empty_run",
    "label_message",
    "quiet_flower",
    "rebuild_message",
    "send_and_wait",
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
# A question costs a SuperLink some 40 ms of work: asked more often, it answers nobody sooner.
_SHORTEST_WAIT_S, _LONGEST_WAIT_S, _IDLE_WAIT_S = 0.3, 0.6, 2.0
_IDLE_AFTER_S = 60.0


def as_task(run_id: int, node_id: int = SERVER_NODE) -> None:
    """Say who this process is: a `Message` cannot be made before."""
    TaskIdentity.run_id = run_id
    TaskIdentity.node_id = node_id
    TaskIdentity.task_id = node_id


def empty_run(run_id: int) -> Run:
    """A description of a run that no SuperLink knows."""
    return Run.create_empty(run_id)


def label_message(metadata: Metadata, message_id: str) -> None:
    """Give a message the id that a SuperLink would give it, so that replies can name it."""
    metadata.__dict__["_message_id"] = message_id


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
        """Something happened."""
        self._wait_s, self._since = _SHORTEST_WAIT_S, time.monotonic()

    def sleep(self) -> None:
        """Wait, and wait longer the next time."""
        time.sleep(self._wait_s)
        is_idle = time.monotonic() - self._since > _IDLE_AFTER_S
        longest = _IDLE_WAIT_S if is_idle else _LONGEST_WAIT_S
        self._wait_s = min(self._wait_s * 1.3, longest)


def send_and_wait(grid: Grid, messages: Iterable[Message], timeout: float | None) -> list[Message]:
    """Send messages and gather the replies that come within `timeout` seconds.

    Flower's own grid asks a SuperLink every three seconds; here the waits begin at 0.3 s.
    """
    from flwr.superlink.grid.http_grid import HttpGrid

    if not isinstance(grid, HttpGrid):
        return list(grid.send_and_receive(messages, timeout=timeout))
    waiting = {i for i in grid.push_messages(messages) if i}
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    replies: list[Message] = []
    patience = Patience()
    while waiting and time.monotonic() < deadline:
        found = list(grid.pull_messages(waiting))
        # Each reply is delivered once: an id that was answered is never pulled again.
        waiting -= {m.metadata.reply_to_message_id for m in found}
        replies += found
        if found:
            patience.reset()
        elif waiting:
            patience.sleep()
    return replies


class SiteLink:
    """A site's connection to the Fleet API: Flower's own calls, without its Runtime API beside it."""

    def __init__(self, node_id: int, calls: tuple[Callable[..., Any], ...]) -> None:
        self.node_id = node_id
        self._receive, self._send, self._get_run, _, self._pull, self._push, self._confirm = calls

    def receive(self) -> Message | None:
        """The next message for this site, or None where there is none now."""
        from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
        from flwr.supercore.inflatable.inflatable_utils import (
            inflate_object_from_contents,
            pull_objects,
        )

        received = self._receive()
        if received is None:
            return None
        head, tree = received
        run_id, message_id = head.metadata.run_id, head.metadata.message_id
        contents = pull_objects(
            [part.object_id for part in iterate_object_tree(tree)],
            pull_object_fn=lambda object_id: self._pull(run_id, object_id),
        )
        self._confirm(run_id, message_id)
        message = inflate_object_from_contents(message_id, contents)
        if not isinstance(message, Message):
            raise CalyxError("The server sent something else than a message.")
        label_message(message.metadata, message_id)
        return message

    def bundle_hash(self, run_id: int) -> str:
        """SHA-256, in hex, of the bundle that a run was submitted with; the bundle is not fetched."""
        return str(self._get_run(run_id).fab_hash)

    def reply(self, message: Message, seconds: float) -> None:
        """Send a reply that took `seconds` to make."""
        from flwr.supercore.inflatable.inflatable_object import (
            get_all_nested_objects,
            get_object_tree,
            no_object_id_recompute,
        )

        label_message(message.metadata, message.object_id)
        run_id = message.metadata.run_id
        with no_object_id_recompute():
            tree, parts = get_object_tree(message), get_all_nested_objects(message)
            wanted, session = self._send(message, tree, seconds)
            for object_id, part in parts.items():
                if object_id in wanted:
                    self._push(run_id, session, object_id, part.deflate())


def _is_no_error(record: logging.LogRecord) -> bool:
    # Flower says many lines before it exits; we say one.
    return record.levelno < logging.ERROR


@contextmanager
def connect_site(address: str, authority: Path, private_key: bytes) -> Iterator[SiteLink]:
    """Connect to a gateway at HOST:PORT over TLS, with this site's node key (PEM, EC P-384).

    `authority` is the certificate that the gateway's own must be signed by. Raises CalyxError
    where the connection is refused.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from flwr.supernode.fleet_http_connection import http_request_response

    key = load_pem_private_key(private_key, password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise CalyxError("The node key is no elliptic-curve key.")
    pair, flower = (key, key.public_key()), logging.getLogger("flwr")
    flower.addFilter(_is_no_error)
    try:
        with http_request_response(address, False, authority.read_bytes(), pair) as connection:
            flower.removeFilter(_is_no_error)
            yield SiteLink(connection[0], connection[1:])
    except SystemExit as refused:
        raise CalyxError(
            f"The gateway {address} refused this site: its node key is not registered, or the "
            "server still sees an earlier connection of it, which ends within a minute. Start "
            "again then, or ask the operator."
        ) from refused
    finally:
        flower.removeFilter(_is_no_error)


def build_bundle(files: Mapping[str, bytes]) -> bytes:
    """A Flower app bundle of these files; equal files give equal bytes."""
    from flwr.cli.build import build_fab_from_files

    content: bytes = build_fab_from_files(dict(files))[0]
    return content


class Operator:
    """The Control API of a SuperLink, which is reachable on the operator's machine only."""

    def __init__(self, address: str, authority: Path) -> None:
        from flwr.supercore.control.control_http_client import ControlHttpClient
        from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

        self._client = ControlHttpClient.from_server_address(
            address,
            False,
            authority.read_bytes(),
            interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
        )

    def nodes(self) -> dict[str, str]:
        """Of each registered site its status, by name."""
        from flwr.proto.control_pb2 import ListNodesRequest

        found = self._client.ListNodes(ListNodesRequest()).nodes_info
        return {node.name: node.status for node in found}

    def register(self, name: str, public_key: bytes) -> None:
        """Let the site with this node key (PEM) connect."""
        from flwr.proto.control_pb2 import RegisterNodeRequest

        self._client.RegisterNode(RegisterNodeRequest(public_key=public_key, name=name))

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
        """Of a run its status, how it ended, and in which words."""
        from flwr.proto.control_pb2 import ListRunsRequest

        (run,) = self._client.ListRuns(ListRunsRequest(run_id=run_id)).run_dict.values()
        return run.status.status, run.status.sub_status, run.status.details

    def runs(self) -> dict[int, str]:
        """Status of every run that the SuperLink knows."""
        from flwr.proto.control_pb2 import ListRunsRequest

        found = self._client.ListRuns(ListRunsRequest()).run_dict
        return {run_id: f"{r.status.status} {r.status.sub_status}" for run_id, r in found.items()}

    def stop(self, run_id: int) -> None:
        """Stop a run."""
        from flwr.proto.control_pb2 import StopRunRequest

        self._client.StopRun(StopRunRequest(run_id=run_id))
