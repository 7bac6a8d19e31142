"""The one door of a server: TLS outside, the Fleet API behind it, and nothing else of Flower.

Sites reach ten paths, by POST, with a body of bounded size; each request is one line of an audit
file. Who may do what there is decided by Flower's node authentication behind it, which the gateway
passes on untouched.
"""

import asyncio
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from calyx.bell import GatewayBell
from calyx.flower import FLEET_PATHS, FLEET_PREFIX, SIGNATURE_HEADER, SITE_HEADER

MAX_BODY_BYTES = 16 * 2**20  # Flower's own chunks have 5 MiB
BELIEVED_S = 330.0  # that Flower believes a signature, with the clocks' tolerance
MAX_SEEN = 500_000
HOLD_S = 8.0  # that a question for messages may wait; a site gives up after 30
UNASKED_S = 1.0  # that one may wait who has just replied, before it is asked for him at all
PULL = "pull-messages"
_PASSED_ON = ("flwr-", "content-type", "accept")  # heads of names of headers
_KEPT_BACK = ("flwr-task", "flwr-superexec")  # what opens Flower's other interfaces
_BACK = ("content-type",)


@dataclass(frozen=True)
class Limits:
    """What one address may ask for."""

    requests_per_s: float = 200.0
    burst: int = 2000
    max_body_bytes: int = MAX_BODY_BYTES


class Buckets:
    """A token bucket an address; addresses that were quiet are forgotten."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left: dict[str, tuple[float, float]] = {}  # address → (tokens, when)

    def allow(self, address: str, now: float) -> bool:
        """Whether one more request of this address is within its rate."""
        rate, burst = self._limits.requests_per_s, float(self._limits.burst)
        tokens, before = self._left.get(address, (burst, now))
        tokens = min(burst, tokens + (now - before) * rate)
        if len(self._left) > 10_000:
            self._left = {a: t for a, t in self._left.items() if now - t[1] < burst / rate}
        self._left[address] = (max(0.0, tokens - 1), now)
        return tokens >= 1


class Replays:
    """Signatures that a SuperLink has believed once; a node signs each request anew.

    Flower's node authentication signs a time and not the body, and believes it for five minutes:
    whoever has seen a request could otherwise send it, or another one, again.
    """

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def is_one(self, signature: str) -> bool:
        """Whether this signature was believed before."""
        return signature in self._seen

    def note(self, signature: str, now: float) -> None:
        """It was believed; those of more than BELIEVED_S ago are forgotten."""
        if signature:
            self._seen[signature] = now
        for old, then in list(itertools.islice(self._seen.items(), 8)):
            if now - then > BELIEVED_S or len(self._seen) > MAX_SEEN:
                del self._seen[old]


@dataclass(frozen=True)
class Behind:
    """The SuperLink, and the bell that its server apps ring."""

    address: str  # HOST:PORT
    authority: Path
    bell: socket.socket | None


def make_gateway(behind: Behind, audit: Path, limits: Limits) -> Starlette:
    """The app that forwards to the SuperLink; `audit` is appended to."""
    buckets, waiting = Buckets(limits), Waiting()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        import ssl

        context = ssl.create_default_context(cafile=str(behind.authority))
        if behind.bell is not None:
            waiting.bell = await GatewayBell.listen(behind.bell)
        async with httpx.AsyncClient(verify=context, timeout=120.0) as client:
            app.state.client = client
            with audit.open("a", buffering=1) as file:
                app.state.audit = file
                yield
        if waiting.bell is not None:
            waiting.bell.close()

    async def forward(request: Request) -> Response:
        started = time.monotonic()
        address = request.client.host if request.client else "unknown"
        allowed = buckets.allow(address, started)
        response = Response(status_code=429)
        if allowed:
            response = await _answer(request, behind.address, limits, waiting)
        row = {
            "time": time.time(),
            "address": address,
            "path": request.url.path[:200],
            "status": response.status_code,
            "bytes": len(response.body),
            "seconds": round(time.monotonic() - started, 4),
        }
        request.app.state.audit.write(json.dumps(row) + "\n")
        return response

    made = Starlette(
        routes=[Route("/{path:path}", forward, methods=["POST", "GET", "PUT", "DELETE", "PATCH"])],
        lifespan=lifespan,
    )
    made.state.waiting = waiting
    return made


class Waiting:
    """Sites that ask for messages are answered when there is one, or after HOLD_S.

    Who has sent something and now asks for more has sent all of it: that is when apps are rung.
    """

    def __init__(self) -> None:
        self.bell: GatewayBell | None = None
        self._senders: set[str] = set()
        self._asked: dict[str, int] = {}  # site → rings before its last question
        self._is_closing = False
        self.replays = Replays()

    def note(self, name: str, site: str) -> None:
        """A site has called one of the Fleet paths, and the SuperLink knows it."""
        if name.startswith("push-") and self.bell is not None:
            self._senders.add(site)
            self._asked.setdefault(site, -1)

    async def begin(self, name: str, site: str) -> asyncio.Event | None:
        """Before a question is asked: what `hold` will wait for."""
        bell = self.bell
        if bell is None or name != PULL or self._is_closing:
            return None
        if site in self._senders:
            self._senders.discard(site)
            bell.ring()
            if self._asked.get(site) == bell.count:  # no app has sent anything since
                await self.hold(bell.next_ring, time.monotonic() + UNASKED_S)
        if site in self._asked:
            self._asked[site] = bell.count
        return bell.next_ring

    def release(self) -> None:
        """The gateway is about to end: hold nobody any more."""
        self._is_closing = True
        if self.bell is not None:
            self.bell.next_ring.set()

    async def hold(self, ring: asyncio.Event | None, until: float) -> bool:
        """Whether it is worth asking again: there was a ring."""
        if ring is None:
            return False
        try:
            await asyncio.wait_for(ring.wait(), until - time.monotonic())
        except TimeoutError:
            return False
        return True


async def _answer(request: Request, behind: str, limits: Limits, waiting: Waiting) -> Response:
    name = request.url.path.removeprefix(FLEET_PREFIX)
    if not request.url.path.startswith(FLEET_PREFIX) or name not in FLEET_PATHS:
        return Response(status_code=404)
    if request.method != "POST":
        return Response(status_code=405)
    body = await _body(request, limits.max_body_bytes)
    if body is None:
        return Response(status_code=413)
    headers = {
        k: v
        for k, v in request.headers.items()
        if k.startswith(_PASSED_ON) and not k.startswith(_KEPT_BACK)
    }
    signature = headers.get(SIGNATURE_HEADER, "")
    if waiting.replays.is_one(signature):
        return Response(status_code=409)
    site, until = headers.get(SITE_HEADER, ""), time.monotonic() + HOLD_S
    try:
        while True:
            ring = await waiting.begin(name, site)
            answer = await request.app.state.client.post(
                f"https://{behind}{FLEET_PREFIX}{name}", content=body, headers=headers
            )
            if answer.status_code == 200:  # its key is known, and it is who it says
                waiting.note(name, site)
                waiting.replays.note(signature, time.monotonic())
            is_nothing = answer.status_code == 200 and not answer.content
            if name != PULL or not is_nothing or not await waiting.hold(ring, until):
                break
    except httpx.HTTPError:
        return Response(status_code=503)
    back = {k: v for k, v in answer.headers.items() if k in _BACK or k.startswith("flwr-")}
    return Response(answer.content, status_code=answer.status_code, headers=back)


async def _body(request: Request, limit: int) -> bytes | None:
    """The request's body, read no further than `limit` bytes; None if there is more."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > 12 or int(declared) > limit:
        return None
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                return None
            parts.append(part)
    except ClientDisconnect:
        return None
    return b"".join(parts)
