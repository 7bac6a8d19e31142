"""How the gateway listens: TLS, HTTP with bounded heads, and nobody who holds a place and says nothing.

What a stranger can make this process do before a request is whole is bounded here; what a request may
do is `server.gateway`'s.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.guard import Limits


class _Connection(H11Protocol):
    """A connection that is closed where it says nothing whole in time, or is one too many."""

    limits: Limits
    by_address: Counter[str]
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self._address()
        self.by_address[address] += 1
        if self.by_address[address] > self.limits.address_connections:
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        address = self._address()
        self.by_address[address] -= 1
        if self.by_address[address] <= 0:
            del self.by_address[address]
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Look at what has come; each head of a request has its own time."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """The next request may begin."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.limits.head_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def _address(self) -> str:
        return self.client[0] if self.client else "unknown"


def make_server(
    app: Any,  # noqa: ANN401 - an ASGI application
    keys: Path,
    where: tuple[str, int],
    limits: Limits,
    on_shutdown: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """A server of `app` at (host, port) with server.crt and server.key of `keys`.

    A head has at most `limits.head_bytes`; forwarded addresses are not believed.
    """
    counted = type("Connection", (_Connection,), {"limits": limits, "by_address": Counter()})
    config = uvicorn.Config(
        app,
        host=where[0],
        port=where[1],
        http=counted,
        ws="none",
        h11_max_incomplete_event_size=limits.head_bytes,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=str(keys / "server.crt"),
        ssl_keyfile=str(keys / "server.key"),
        log_level="error",  # nonsense of strangers is one line of the audit, or none
        timeout_graceful_shutdown=2,
        timeout_keep_alive=int(limits.head_s),
        limit_concurrency=limits.connections,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            loop: Any = asyncio.get_running_loop()
            # uvicorn has no key for it, and asyncio waits a minute for a handshake.
            loop.create_server = partial(
                loop.create_server, ssl_handshake_timeout=limits.handshake_s
            )
            await super().startup(sockets)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            on_shutdown()
            await super().shutdown(sockets)

    return Server(config)
