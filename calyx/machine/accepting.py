"""Lets connections in: each is counted before its TLS handshake, and has so long for it.

asyncio's own servers, and uvicorn's, know of a connection only after its handshake, and so of none that
never speaks. See docs/decisions/0059.
"""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from calyx.machine.guests import Guest, Guests
from calyx.machine.neighbourhoods import neighbourhood

_OWN_FILES = 256  # that are kept for everything but connections


@dataclass(frozen=True)
class Handshake:
    """How a connection begins."""

    ssl: ssl.SSLContext | None  # None: without TLS
    seconds: float


class Accepting:
    """Accepts connections of some listening sockets, each with a protocol of its own."""

    def __init__(
        self,
        guests: Guests,
        make_protocol: Callable[[Guest], asyncio.BaseProtocol],
        handshake: Callable[[], Handshake],
    ) -> None:
        self._guests, self._make_protocol, self._handshake = guests, make_protocol, handshake
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, listeners: Sequence[socket.socket]) -> None:
        """Accept from sockets that do not block, in the running loop."""
        for listener in listeners:
            self._keep(self._accept(listener))

    def end(self) -> None:
        """Accept no more, and end those that are in their handshake."""
        for task in self._tasks:
            task.cancel()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except OSError:  # no more files: somebody has to go
                self._guests.end_one()
                await asyncio.sleep(0.05)
                continue
            connection.setblocking(False)
            self._keep(self._welcome(connection, str(peer[0])))

    async def _welcome(self, connection: socket.socket, address: str) -> None:
        """Let one in, or end it when it does not come to terms."""
        task = asyncio.current_task()
        guest = Guest(neighbourhood(address), task.cancel if task else connection.close)
        self._guests.add(guest)
        terms = self._handshake()
        seconds = None if terms.ssl is None else terms.seconds
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._make_protocol(guest),
                connection,
                ssl=terms.ssl,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
        except (OSError, ValueError, asyncio.CancelledError):  # of TLS, of the peer, or ended by us
            self._guests.remove(guest)
            connection.close()


def take_files(connections: int) -> int:
    """Let this process have as many files as its connections need; how many of these it then may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return min(connections, max(soft - _OWN_FILES, soft // 2))
    return connections
