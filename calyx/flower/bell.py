"""A bell between the processes of one server: who waits is woken, and need not ask again and again.

A SuperLink answers a question with tens of milliseconds of work, and knows no other way to wait
than to be asked. The gateway sees what sites send, the server app knows what it has sent; each
rings the other. A ring is a datagram on loopback: anybody on this machine can send one, and
all that follows is one question more. Where there is no bell everything still works, later.
See docs/decisions/0019.
"""

import asyncio
import os
import select
import socket
import time
from functools import lru_cache
from typing import cast

from typing_extensions import override

PORT_VARIABLE = "CALYX_BELL_PORT"
LOOPBACK = "127.0.0.1"
RING = b"\0"  # asyncio does not send an empty datagram
GATHER_S = 0.2
_MAX_APPS = 64  # server apps that are rung; the longest silent is forgotten


def bind_bell() -> socket.socket:
    """The gateway's end; its port goes to the server apps by PORT_VARIABLE."""
    bell = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bell.bind((LOOPBACK, 0))
    bell.setblocking(False)
    return bell


class AppBell:
    """The end of the bell in a server app: it rings when something was sent to sites."""

    def __init__(self, port: int) -> None:
        self._socket, self._gateway = bind_bell(), (LOOPBACK, port)

    def ring(self) -> None:
        """Tell the gateway that something was sent to sites."""
        try:
            self._socket.sendto(RING, self._gateway)
        except OSError:
            return  # the gateway is away; sites will ask by themselves

    def wait(self, seconds: float, rings: int) -> None:
        """Wait until so many sites have sent something, or `seconds` have passed.

        Once the first has rung the others have GATHER_S: one question then serves them all.
        """
        deadline, heard = time.monotonic() + seconds, 0
        while heard < rings and (left := deadline - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                return
            try:
                self._socket.recvfrom(1)
            except OSError:
                return  # told that the gateway is away
            heard += 1
            deadline = min(deadline, time.monotonic() + GATHER_S)


@lru_cache(maxsize=1)
def app_bell() -> AppBell | None:
    """The bell of this process, where a gateway has one."""
    port = os.environ.get(PORT_VARIABLE, "")
    return AppBell(int(port)) if port.isdecimal() else None


class GatewayBell(asyncio.DatagramProtocol):
    """The gateway's end, in its event loop."""

    def __init__(self) -> None:
        self.count = 0  # rings of apps
        self._apps: dict[tuple[str, int], None] = {}
        self._rung = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def listen(cls, own: socket.socket) -> "GatewayBell":
        """Listen on the socket that `bind_bell` has made."""
        _, bell = await asyncio.get_running_loop().create_datagram_endpoint(cls, sock=own)
        return bell

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own is no subclass of it.
        self._transport = cast(asyncio.DatagramTransport, transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Wake all who wait for a ring, and count it: an app has sent something."""
        self._apps.pop(addr, None)
        self._apps[addr] = None
        for silent in list(self._apps)[:-_MAX_APPS]:
            del self._apps[silent]
        self.count += 1
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    @override
    def error_received(self, exc: Exception) -> None:
        """Do nothing: an app that has ended is no trouble."""

    def ring(self) -> None:
        """Tell every server app that a site has sent something."""
        if self._transport is not None:
            for app in self._apps:
                self._transport.sendto(RING, app)

    @property
    def next_ring(self) -> asyncio.Event:
        """Set when an app rings; taken before a question, it misses no ring during the answer."""
        return self._rung

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
