"""The one door of a server: TLS outside, the Fleet API behind it, and nothing else of Flower.

Sites reach ten paths, by POST, with a body of bounded size; each request is one line of an audit
file. Who may do what there is decided by Flower's node authentication behind it, which the gateway
passes on untouched.
"""

import asyncio
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
from server.guard import Audit, Buckets, Held, Limits, Replays

HOLD_S = 8.0  # that a question for messages may wait; a site gives up after 30
UNASKED_S = 1.0  # that one may wait who has just replied, before it is asked for him at all
PULL = "pull-messages"
_PASSED_ON = ("flwr-", "content-type", "accept")  # heads of names of headers
_KEPT_BACK = ("flwr-task", "flwr-superexec")  # what opens Flower's other interfaces
_BACK = ("content-type",)


@dataclass(frozen=True)
class Behind:
    """The SuperLink, and the bell that its server apps ring."""

    address: str  # HOST:PORT
    authority: Path
    bell: socket.socket | None


def make_gateway(behind: Behind, audit: Path, limits: Limits) -> Starlette:
    """The app that forwards to the SuperLink; `audit` is appended to."""
    buckets, gate = Buckets(limits), Gate(behind.address, limits, Held(limits), Waiting())
    waiting = gate.waiting

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        import ssl

        context = ssl.create_default_context(cafile=str(behind.authority))
        if behind.bell is not None:
            waiting.bell = await GatewayBell.listen(behind.bell)
        async with httpx.AsyncClient(verify=context, timeout=120.0, trust_env=False) as client:
            app.state.client, app.state.audit = client, Audit(audit, limits)
            yield
            app.state.audit.close()
        if waiting.bell is not None:
            waiting.bell.close()

    async def forward(request: Request) -> Response:
        started = time.monotonic()
        address = request.client.host if request.client else "unknown"
        allowed = buckets.allow(address, started)
        response = Response(status_code=429)
        if allowed:
            response = await gate.answer(request)
            if 400 <= response.status_code < 500:
                buckets.charge(address)
        row = {
            "path": request.url.path[:80],
            "status": response.status_code,
            "bytes": len(response.body),
            "seconds": round(time.monotonic() - started, 4),
        }
        request.app.state.audit.write(address, row)
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


class Gate:
    """Decides which requests go through, and passes them on."""

    def __init__(self, behind: str, limits: Limits, held: Held, waiting: Waiting) -> None:
        self._behind, self._limits, self._held, self.waiting = behind, limits, held, waiting
        self._replays = Replays()

    async def answer(self, request: Request) -> Response:
        """The SuperLink's answer, or a refusal."""
        name = request.url.path.removeprefix(FLEET_PREFIX)
        if not request.url.path.startswith(FLEET_PREFIX) or name not in FLEET_PATHS:
            return Response(status_code=404)
        if request.method != "POST":
            return Response(status_code=405)
        if self._replays.is_one(request.headers.get(SIGNATURE_HEADER, "")):
            return Response(status_code=409)
        declared = request.headers.get("content-length", "")
        limit, site = self._limits.max_body_bytes, request.headers.get(SITE_HEADER, "")
        if declared and (not declared.isdecimal() or len(declared) > 12 or int(declared) > limit):
            return Response(status_code=413)
        limit = self._held.limit(site)
        size = int(declared) if declared else limit
        with self._held.of(site, size) as has_room:
            if not has_room or (declared and size > limit):
                return Response(status_code=503)  # a site that is known soon tries again
            try:
                async with asyncio.timeout(self._limits.body_s):
                    body = await _body(request, limit)
            except TimeoutError:
                return Response(status_code=503)
            if body is None:
                return Response(status_code=413)
            return await self._forward(request, name, body)

    async def _forward(self, request: Request, name: str, body: bytes) -> Response:
        headers = {
            k: v
            for k, v in request.headers.items()
            if k.startswith(_PASSED_ON) and not k.startswith(_KEPT_BACK)
        }
        site, until = headers.get(SITE_HEADER, ""), time.monotonic() + HOLD_S
        try:
            while True:
                ring = await self.waiting.begin(name, site)
                answer = await request.app.state.client.post(
                    f"https://{self._behind}{FLEET_PREFIX}{name}", content=body, headers=headers
                )
                if answer.status_code == 200:  # its key is known, and it is who it says
                    self._held.known.add(site)
                    self.waiting.note(name, site)
                    self._replays.note(headers.get(SIGNATURE_HEADER, ""), time.monotonic())
                is_nothing = answer.status_code == 200 and not answer.content
                if name != PULL or not is_nothing or not await self.waiting.hold(ring, until):
                    break
                if await request.is_disconnected():
                    break  # the order would be given to nobody
        except httpx.HTTPError:
            return Response(status_code=503)
        back = {k: v for k, v in answer.headers.items() if k in _BACK or k.startswith("flwr-")}
        return Response(answer.content, status_code=answer.status_code, headers=back)


async def _body(request: Request, limit: int) -> bytes | None:
    """The request's body, read no further than `limit` bytes; None if there is more."""
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
