"""The seam to Flower's Fleet API: a site's connection, made of Flower's own calls.

Flower's SuperNode retries in its own words, follows redirects, takes answers of any size, and ends
the process that a server calls unknown. Here a server can make a site wait, and nothing else.
See docs/decisions/0018.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event
from typing import Any

import httpx
from flwr.app import Message

from calyx.errors import CalyxError
from calyx.flower.door import Door
from calyx.flower.messages import client_of_api, label_message, take_times_of
from calyx.machine.proxies import Proxy, proxy_for
from calyx.trust.bounded_http import blame, bounded_client, in_words, is_distrust, seconds_ahead

GOODBYE_S = 5.0
MAX_PULLS = 8  # parts of a message at a time
MAX_MESSAGE_BYTES = 2 * 2**30  # of all parts of a message
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 15.0  # between tries while a server is away
# A server that asks every two seconds whether a site is there has to see once that it was not.
_UNSEEN_S = 2.5
_CLOCK_S = 240  # node signatures are good for five minutes
_HEARTBEAT_S = 30.0  # Flower's own, which its sender keeps to
_AWAY = (429, 502, 503, 504)
Tell = Callable[[str], None]


class NotAdmitted(CalyxError):
    """The server does not let this site in, or no longer."""


class SiteLink:
    """The calls of one connected site. Each waits while the server is away, and says so once."""

    def __init__(self, door: Door, tell: Tell) -> None:
        self._proxy = proxy_for(door.address)
        self._client, self._door, self._tell = _client(door, self._proxy), door, tell
        self._is_away, self._never = Event(), Event()
        self.node_id = 0
        self.has_left = False

    def call(self, method: str, request: Any, stop: Event | None = None) -> Any:  # noqa: ANN401 - protobuf's messages
        """One call of the Fleet API. Raises CalyxError where the server does not admit this site."""
        wait = _FIRST_WAIT_S
        while True:
            try:
                answer = getattr(self._client, method)(request)
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                self._note_away(error)
            else:
                if self._is_away.is_set():
                    self._is_away.clear()
                    self._tell("the server answers again")
                return answer
            if (stop or self._never).wait(wait):
                raise CalyxError("The message is given up.")
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def _note_away(self, error: httpx.HTTPError) -> None:
        if isinstance(error, httpx.HTTPStatusError):
            if error.response.status_code == httpx.codes.UNAUTHORIZED:
                raise NotAdmitted(self._why_unknown(error.response)) from None
            if error.response.status_code not in _AWAY:
                raise error
            reason = f"status {error.response.status_code}"
        else:
            reason = in_words(error)
            if is_distrust(error) and not self.node_id:
                raise NotAdmitted(f"{self._door.address} is not to be trusted: {reason}.") from None
        if not self._is_away.is_set():
            self._is_away.set()
            of_proxy = blame(error, self._door.address, self._proxy)
            what = of_proxy or f"{self._door.address} does not answer ({reason})"
            self._tell(f"{what}; trying until it does")

    def _why_unknown(self, response: httpx.Response) -> str:
        ahead = seconds_ahead(response)
        if abs(ahead) > _CLOCK_S:
            which = "ahead of" if ahead > 0 else "behind"
            return (
                f"This machine's clock is {abs(ahead):.0f} s {which} that of {self._door.address}, "
                "and node keys are believed for five minutes; set both by NTP."
            )
        return (
            f"{self._door.address} does not know this site's node key, or no longer: ask the "
            "operator whether it is registered."
        )

    def connect(self, earlier: int | None) -> None:
        """Become this key's node. `earlier` is the node that a crashed process of it was.

        Raises CalyxError.
        """
        from flwr.proto.fleet_pb2 import ActivateNodeRequest, DeactivateNodeRequest
        from flwr.supercore.primitives.asymmetric import public_key_to_bytes

        if earlier is not None:
            with suppress(httpx.HTTPStatusError, CalyxError):
                self.call("DeactivateNode", DeactivateNodeRequest(node_id=earlier))
                time.sleep(_UNSEEN_S)
        public = public_key_to_bytes(self._door.key().public_key())
        request = ActivateNodeRequest(public_key=public, heartbeat_interval=_HEARTBEAT_S)
        try:
            self.node_id = self.call("ActivateNode", request).node_id
        except httpx.HTTPStatusError:
            raise NotAdmitted(
                f"The gateway {self._door.address} refused this site: its node key is not "
                "registered, or another process is connected with it (a crashed one counts for a "
                "minute). Start again then, or ask the operator."
            ) from None

    @contextmanager
    def hold_connection(self, earlier: int | None) -> Iterator[None]:
        """Connect, and say that this site is there; leaving the block says that it goes.

        Waits while the server is away. Raises NotAdmitted where the site is refused.
        """
        from flwr.supercore.heartbeat import HeartbeatSender

        self.connect(earlier)
        heart = HeartbeatSender(self.beat)
        heart.start()
        try:
            yield
        finally:
            heart.stop()
            self.leave()
            self._client.close()

    def beat(self) -> bool:
        """Say once that this site is there; always True, which Flower's sender takes for heard.

        It would else send another within a second: as many as a server likes, and by how soon they
        come it would see when a site is at work. As it is 17 to 23 s lie between two, at random.
        """
        from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest

        request = SendNodeHeartbeatRequest(node=self._node, heartbeat_interval=_HEARTBEAT_S)
        with suppress(httpx.HTTPError, ValueError, CalyxError):
            self._client.SendNodeHeartbeat(request)
        return True

    def leave(self) -> None:
        """Say that this site goes, so that nobody waits for it; `has_left` if somebody heard it."""
        from flwr.proto.fleet_pb2 import DeactivateNodeRequest

        self._client._client.timeout = httpx.Timeout(GOODBYE_S)
        with suppress(httpx.HTTPError, ValueError, CalyxError):
            self._client.DeactivateNode(DeactivateNodeRequest(node_id=self.node_id))
            self.has_left = True

    @property
    def _node(self) -> Any:  # noqa: ANN401 - protobuf's
        from flwr.proto.node_pb2 import Node

        return Node(node_id=self.node_id)

    def receive(self) -> Message | None:
        """The next message for this site, or None where there is none now.

        Raises CalyxError for what is no message, or too large.
        """
        from flwr.common.serde import message_from_proto
        from flwr.proto.fleet_pb2 import PullMessagesRequest
        from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
        from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
        from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

        answer = self.call("PullMessages", PullMessagesRequest(node=self._node))
        if not answer.messages_list:
            return None
        head = message_from_proto(answer.messages_list[0]).metadata
        tree = answer.message_object_trees[0]
        contents = self._pull(head.run_id, [part.object_id for part in iterate_object_tree(tree)])
        confirmed = ConfirmMessageReceivedRequest(
            node=self._node, run_id=head.run_id, message_object_id=head.message_id
        )
        self.call("ConfirmMessageReceived", confirmed)
        try:
            message = inflate_object_from_contents(head.message_id, contents)
        except Exception as error:  # noqa: BLE001 - whatever a server sent: it is unusable
            raise CalyxError(f"A message of the server cannot be read: {error}") from None
        if not isinstance(message, Message):
            raise CalyxError("The server sent something else than a message.")
        label_message(message.metadata, head.message_id)
        return message

    def _pull(self, run_id: int, parts: list[str]) -> dict[str, bytes]:
        """The parts of a message. Ctrl-C ends it, also while the server is away."""
        with ThreadPoolExecutor(MAX_PULLS) as pool:
            stop, ask = Event(), partial(self._pull_part, run_id)
            futures = {p: pool.submit(ask, p, stop) for p in dict.fromkeys(parts)}
            objects, left = {}, MAX_MESSAGE_BYTES
            try:
                for part, future in futures.items():
                    objects[part] = future.result()
                    left -= len(objects[part])
                    if left < 0:
                        raise CalyxError(f"A message has more than {MAX_MESSAGE_BYTES} bytes.")
            finally:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
        return objects

    def _pull_part(self, run_id: int, part: str, stop: Event) -> bytes:
        from flwr.proto.message_pb2 import PullObjectRequest

        request = PullObjectRequest(node=self._node, run_id=run_id, object_id=part)
        for wait in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4):  # until the server app has pushed it
            answer = self.call("PullObject", request, stop)
            if answer.object_found and answer.object_available:
                return bytes(answer.object_content)
            if not answer.object_found or stop.wait(wait):
                break
        raise CalyxError("A message of the server lacks a part.")

    def bundle_hash(self, run_id: int) -> str:
        """SHA-256, in hex, of the bundle that a run was submitted with; the bundle is not fetched."""
        from flwr.proto.run_pb2 import GetRunRequest

        return str(self.call("GetRun", GetRunRequest(node=self._node, run_id=run_id)).run.fab_hash)

    def reply(self, message: Message, asked: Message) -> None:
        """Send the reply to what was `asked`. No field of it says when it was made, or how long it took."""
        from flwr.app.message import remove_content_from_message
        from flwr.common.serde import message_to_proto
        from flwr.proto.fleet_pb2 import PushMessagesRequest
        from flwr.proto.message_pb2 import PushObjectRequest
        from flwr.supercore.inflatable.inflatable_object import (
            get_all_nested_objects,
            get_object_tree,
            no_object_id_recompute,
        )

        take_times_of(message.metadata, asked.metadata)
        label_message(message.metadata, message.object_id)
        with no_object_id_recompute():
            tree, parts = get_object_tree(message), get_all_nested_objects(message)
            head = remove_content_from_message(message) if message.has_content() else message
            request = PushMessagesRequest(
                node=self._node,
                messages_list=[message_to_proto(head)],
                message_object_trees=[tree],
                clientapp_runtime_list=[0.0],
            )
            wanted = self.call("PushMessages", request)
            for part in set(wanted.objects_to_push) & parts.keys():
                request = PushObjectRequest(
                    node=self._node,
                    run_id=message.metadata.run_id,
                    session_id=wanted.session_id,
                    object_id=part,
                    object_content=parts[part].deflate(),
                )
                self.call("PushObject", request)


def _client(door: Door, proxy: Proxy | None) -> Any:  # noqa: ANN401 - Flower's client of the Fleet API
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
    from flwr.supernode.fleet_http_client import FleetHttpClient
    from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

    key = door.key()
    interceptors = (
        RuntimeVersionHttpInterceptor(component_name="SuperNode"),
        NodeAuthHttpInterceptor(key, key.public_key()),
    )
    # Flower's own would follow a redirect to anywhere and read an answer of any size.
    http = bounded_client(door.authority, proxy)
    return client_of_api(FleetHttpClient, door.address, interceptors, http)
