"""Who may hold a connection to the gateway, and how long he may say nothing on it.

A request's head is bounded before it is parsed, connections are counted by address from the moment
they come, and whoever is slow is cut off: in the TLS handshake, in a head, in reading an answer.
Where there are too many connections the oldest on which no site has proven itself goes first, so
that a site is let in while a stranger holds all that there are. See docs/decisions/0059.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from typing_extensions import override
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from calyx.fleet.guard import Limits
from calyx.machine.accepting import Accepting, Handshake, take_files
from calyx.machine.guests import Guest, Guests

_HEAD_END = re.compile(rb"\n\r?\n")
_BACKLOG = 2048
_LINGER_S = 1.0  # that somebody may go on sending who has been refused, to read why


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with a bounded head, one request at a time, and an end for whoever is slow."""

    def __init__(self, *arguments: Any, limits: Limits, guests: Guests, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **named)
        self._limits, self._guests = limits, guests
        self.guest: Guest | None = None  # set by who has accepted the connection
        self._timer: asyncio.TimerHandle | None = None
        self._is_in_head = False
        self.app_state = {**self.app_state, "prove": self._prove}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The handshake is done: a request has to come."""
        super().connection_made(transport)
        if self.guest is not None:
            self.guest.end = transport.abort
        self._await_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        if self.guest is not None:
            self._guests.remove(self.guest)
        with contextlib.suppress(h11.LocalProtocolError):
            super().connection_lost(exc)
        self._unset_keepalive_if_required()
        # Transport and protocol point at each other, and half a megabyte of buffers hangs on them:
        # it goes now, not when garbage is collected.
        self.transport, self.guest, self.cycle, self.app_state = _GONE, None, None, {}  # type: ignore[assignment]
        self.flow = FlowControl(_GONE)

    def data_received(self, data: bytes) -> None:
        """Bytes of a head or a body; a head is looked at before it is parsed."""
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.DONE:  # a second request before the first is answered
            self.transport.abort()
            return
        if self.conn.their_state is h11.IDLE and self._is_too_much(data):
            self._unset_keepalive_if_required()
            self._refuse()
            return
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # nonsense while an answer is under way
            self.transport.abort()
            return
        if self.conn.their_state is h11.IDLE:
            if not self._is_in_head:
                self._await_head()
        elif self._is_in_head:
            self._is_in_head = False
            self._set_timer(self._limits.exchange_s)
        if self.conn.their_state is h11.DONE and self.conn.trailing_data[0]:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What has come is no HTTP; whoever still works on an answer learns that nobody waits."""
        super().send_400_response(msg)
        self._set_timer(_LINGER_S)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def shutdown(self) -> None:
        """The gateway ends; a connection in the middle of nonsense is cut off."""
        try:
            super().shutdown()
        except h11.LocalProtocolError:
            self.transport.abort()

    @override
    def on_response_complete(self) -> None:
        if self.transport.is_closing():
            self._set_timer(_LINGER_S)
        else:
            self._await_head()
        super().on_response_complete()

    def _is_too_much(self, data: bytes) -> bool:
        head = self.conn.trailing_data[0] + data
        end = _HEAD_END.search(head, 0, self._limits.head_bytes)
        if end is None:
            return len(head) > self._limits.head_bytes or self._has_many_lines(head)
        return self._has_many_lines(head[: end.start()])

    def _has_many_lines(self, head: bytes) -> bool:
        return head.count(b"\n") > self._limits.head_lines

    def _refuse(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            b"content-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()
        self._set_timer(_LINGER_S)

    def _await_head(self) -> None:
        self._is_in_head = True
        self._set_timer(self._limits.head_s)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._cut_off)

    def _cut_off(self) -> None:
        self.transport.abort()

    def _prove(self, site: str) -> None:
        if self.guest is not None:
            self._guests.prove(self.guest, site)


class _Gone(asyncio.Transport):
    """Stands for the transport of a connection that has ended: what is written to it is lost."""

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass

    abort = pause_reading = resume_reading = close

    def write(self, data: object) -> None:
        pass


_GONE = _Gone()


class GatewayServer(uvicorn.Server):
    """uvicorn with an `accept` of its own: it counts connections before their handshake."""

    def __init__(self, app: Starlette, host: str, port: int, keys: Path, limits: Limits) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http="h11",
            h11_max_incomplete_event_size=limits.head_bytes,
            ws="none",
            proxy_headers=False,
            server_header=False,
            ssl_certfile=str(keys / "server.crt"),
            ssl_keyfile=str(keys / "server.key"),
            log_level="error",  # a stranger's nonsense is no news
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)
        self._gateway, self._limits, self._guests = app, limits, Guests(limits)
        self.listeners: list[socket.socket] = []
        self._accepting = Accepting(
            self._guests,
            self._make_protocol,
            lambda: Handshake(self.config.ssl, self._limits.head_s),
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen. Raises OSError where it cannot."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            self.should_exit = True
            return
        self.servers = []
        self.listeners = sockets or list(_listeners(self.config.host, self.config.port))
        self._accepting.begin(self.listeners)
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go sites that wait for messages, and end."""
        self._accepting.end()
        for listener in self.listeners:
            listener.close()
        self._gateway.state.waiting.release()
        await super().shutdown()

    def _make_protocol(self, guest: Guest) -> BoundedProtocol:
        protocol = BoundedProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            limits=self._limits,
            guests=self._guests,
        )
        protocol.guest = guest
        return protocol


def _listeners(host: str, port: int) -> Iterator[socket.socket]:
    for family, _, _, _, address in sorted(
        set(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    ):
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        listener.setblocking(False)
        yield listener


def with_files(limits: Limits) -> Limits:
    """Let this process have as many files as its connections need; fewer of these where it may not."""
    return replace(limits, connections=take_files(limits.connections))
