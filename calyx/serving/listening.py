"""Who may hold a connection to the gateway, and how long he may say nothing on it.

uvicorn's protocol over httptools, with what it does not bound: a request's head, requests before the first
is answered, and the time of every phase. Connections are counted before their TLS handshake, by address;
where there are too many the oldest of a stranger goes, and those of callers stay. Decision 0088.
"""

import asyncio
import contextlib
import enum
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from calyx.machine.accepting import Accepting, Handshake, take_files
from calyx.machine.guests import Guest, Guests
from calyx.serving.access_config import LimitsConfig
from calyx.serving.tls import Certificates

HEAD_BYTES = 2**15  # of a request's line and headers; a token has at most 8,192
HEAD_LINES = 100
_SWEEP_S = 0.25  # between two looks for connections whose time is over
# Whoever is answered before his body's end may go on sending, so that he reads why: for so long, and so much.
_LINGER_S = 1.0
_LINGER_BYTES = 2**24
_STRANGERS = 4  # the share of connections of one address is one in so many, and of one caller


class Phase(enum.Enum):
    """What is waited for on a connection."""

    FIRST = enum.auto()  # a first byte of a request; nothing has come yet
    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWER = enum.auto()
    IDLE = enum.auto()  # another request


class TooMuch(Exception):
    """A head beyond its bounds, or a request before the last one is answered."""


class NotSpoken(Exception):
    """A version of HTTP in which a request's end, or an answer's, is another."""


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a bounded head, one request at a time, and an end for every phase."""

    def __init__(self, server: "BoundedServer", guest: Guest) -> None:
        super().__init__(
            config=server.config,
            server_state=server.server_state,
            app_state=server.lifespan.state,
        )
        limits = self._limits = server.limits
        self._guests, self._guest = server.guests, guest
        self.timeout_keep_alive = limits.idle_s  # type: ignore[assignment]  # seconds, for call_later
        self.app_state = {**self.app_state, "prove": self._prove}
        self._phase, self.deadline = Phase.FIRST, self.loop.time() + limits.head_s
        self._head_bytes = self._head_lines = self._thrown_away = 0
        self._is_deaf = False  # what comes from now on is not looked at

    def _enter(self, phase: Phase, seconds: float) -> None:
        self._phase, self.deadline = phase, self.loop.time() + seconds

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._guest.end = transport.abort

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._guests.remove(self._guest)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_deaf or self.transport.is_closing():
            return
        super().data_received(data)
        if self._phase is Phase.HEAD:
            self._head_bytes += len(data)  # also of what the parser keeps until a header ends
            if self._head_bytes > HEAD_BYTES and not self._is_deaf:
                self._refuse()

    @override
    def send_400_response(self, msg: str) -> None:
        """What has come is no HTTP, or too much of it."""
        if self._is_deaf:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._is_deaf = True
            self.transport.abort()  # nonsense while an answer is under way
        elif self._phase is Phase.HEAD and self._is_too_much():
            self._refuse()
        else:
            self._is_deaf = True
            super().send_400_response(msg)
            self.deadline = self.loop.time() + _LINGER_S

    def _refuse(self) -> None:
        self._is_deaf = True
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            b"content-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()
        self.deadline = self.loop.time() + _LINGER_S

    def _is_too_much(self) -> bool:
        return self._head_bytes > HEAD_BYTES or self._head_lines > HEAD_LINES

    @override
    def on_message_begin(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            raise TooMuch
        self._enter(Phase.HEAD, self._limits.head_s)
        self._head_bytes = self._head_lines = self._thrown_away = 0
        super().on_message_begin()

    @override
    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_lines += 1
        self._count(len(name) + len(value) + 4)
        if (
            self._phase is Phase.HEAD
        ):  # a trailer is no header, or one could be hidden there: RFC 9110 §6.5.1
            super().on_header(name, value)

    def _count(self, size: int) -> None:
        """Bound a head within one piece of data; a trailer after a body counts on."""
        self._head_bytes += size
        if self._is_too_much():
            raise TooMuch

    @override
    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise NotSpoken
        self._enter(Phase.BODY, self._limits.body_s)
        self._head_bytes = 0
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # The parser takes what follows for another protocol, and then for new requests: whoever is
            # asked to forward a body must not find that it was one.
            self._is_deaf = True
            self.cycle.keep_alive = False

    @override
    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._thrown_away += len(body)
            if self._thrown_away > _LINGER_BYTES:
                self.transport.abort()

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete:
            self._enter(Phase.IDLE, self._limits.idle_s)
        else:
            self._enter(Phase.ANSWER, self._limits.answer_s)

    @override
    def on_response_complete(self) -> None:
        if self._phase is Phase.BODY:  # which is thrown away as it comes, for a while
            self.deadline = self.loop.time() + _LINGER_S
        else:
            self._enter(Phase.IDLE, self._limits.idle_s)
        super().on_response_complete()

    def _prove(self, caller: str) -> None:
        self._guests.prove(self._guest, caller)


@dataclass(frozen=True)
class _Crowd:
    connections: int
    address_connections: int
    site_connections: int


class BoundedServer(uvicorn.Server):
    """uvicorn with an `accept` of its own, and an end for connections whose time is over."""

    def __init__(
        self, config: uvicorn.Config, limits: LimitsConfig, certificates: Certificates | None
    ) -> None:
        """Without `certificates` it speaks plain HTTP."""
        super().__init__(config)
        most = take_files(limits.connections)
        self.limits = limits
        self.guests = Guests(_Crowd(most, max(8, most // _STRANGERS), max(8, most // _STRANGERS)))
        self._accepting = Accepting(
            self.guests,
            lambda guest: BoundedProtocol(self, guest),
            lambda: Handshake(certificates.context if certificates else None, limits.head_s),
        )
        self.listeners: list[socket.socket] = []

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept from `sockets`, which listen already."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            self.should_exit = True
            return
        self.servers = []
        self.listeners = sockets or []
        self._accepting.begin(self.listeners)
        self._sweeper = asyncio.create_task(self._sweep())
        self.started = True

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._accepting.end()
        await super().shutdown(sockets)
        self._sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeper

    async def _sweep(self) -> None:
        """End connections whose time is over, also those that do not read what they were told."""
        now: Callable[[], float] = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_SWEEP_S)
            for one in [c for c in self.server_state.connections if isinstance(c, BoundedProtocol)]:
                if one.deadline < now():
                    one.transport.abort()
