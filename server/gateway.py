"""The one door of a server: TLS outside, the Fleet API behind it, and nothing else of Flower.

Sites reach ten paths, by POST, with a body of bounded size; each request is one line of an audit
file. Who may do what there is decided by Flower's node authentication behind it, which the gateway
passes on untouched.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Container, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from calyx.bell import GatewayBell
from calyx.flower import FLEET_PATHS, FLEET_PREFIX, SIGNATURE_HEADER, SITE_HEADER
from calyx.flower_gate import proves_itself
from server.guard import Audit, Buckets, Held, Limits, Quota, Replays

HOLD_S = 8.0  # that a question for messages may wait; a site gives up after 30
UNASKED_S = 1.0  # that one may wait who has just replied, before it is asked for him at all
PULL, PUSH = "pull-messages", "push-object"
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
    buckets, gate = Buckets(limits), Gate(behind.address, limits, Waiting())
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
        caller = gate.caller(request)
        # A neighbour behind the same address must not use up a site's rate: who proves itself has its own.
        allowed = buckets.allow(caller.address, started) or (
            caller.is_proven and buckets.allow(caller.site, started)
        )
        response = Response(status_code=429)
        if allowed:
            response = await gate.answer(request, caller)
            if 400 <= response.status_code < 500:
                buckets.charge(caller.address)
        row = {
            "path": request.url.path[:80],
            "status": response.status_code,
            "bytes": len(response.body),
            "seconds": round(time.monotonic() - started, 4),
        }
        request.app.state.audit.write(caller.address, row)
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


class Caller:
    """Who asks: an address, and the site that it names. Whether it is that site is looked at once."""

    def __init__(self, request: Request, known: Container[str]) -> None:
        self.address = request.client.host if request.client else "unknown"
        self.site = request.headers.get(SITE_HEADER, "")
        self._headers, self._known = request.headers, known

    @cached_property
    def is_proven(self) -> bool:
        """Whether it is a site that the SuperLink has believed, and has signed this very call."""
        return self.site in self._known and proves_itself(self._headers, datetime.now(UTC))


class Gate:
    """Decides which requests go through, and passes them on."""

    def __init__(self, behind: str, limits: Limits, waiting: Waiting) -> None:
        self._behind, self._limits, self.waiting = behind, limits, waiting
        self._held, self._quota, self._replays = Held(limits), Quota(limits), Replays()

    def caller(self, request: Request) -> Caller:
        """Who asks."""
        return Caller(request, self._held.known)

    async def answer(self, request: Request, caller: Caller) -> Response:
        """The SuperLink's answer, or a refusal."""
        refused = self._refused(request)
        if refused:
            return Response(status_code=refused)
        name = request.url.path.removeprefix(FLEET_PREFIX)
        declared = request.headers.get("content-length", "")
        most = self._limits.max_body_bytes if name == PUSH else self._limits.call_bytes
        if declared and (not declared.isdecimal() or len(declared) > 12 or int(declared) > most):
            return Response(status_code=413)
        small = min(self._limits.stranger_body_bytes, most)
        size = int(declared) if declared else small
        if size > small and not caller.is_proven:
            status = 401 if caller.site in self._held.known else 503  # known soon, it tries again
            return Response(status_code=status)
        sender = (caller.site if size > small else "", caller.address)
        with self._held.of(sender, size) as has_room:
            if not has_room:
                return Response(status_code=503)
            try:
                async with asyncio.timeout(self._limits.body_s):
                    body = await _body(request, max(size, small))
            except TimeoutError:
                return Response(status_code=503)
            if body is None:
                return Response(status_code=413)
            if name.startswith("push-") and not self._quota.allow_up(caller.site, len(body)):
                return Response(status_code=413)
            return await self._forward(request, name, body)

    def _refused(self, request: Request) -> int:
        """The status of what is refused by its head alone; else 0."""
        name = request.url.path.removeprefix(FLEET_PREFIX)
        if not request.url.path.startswith(FLEET_PREFIX) or name not in FLEET_PATHS:
            return 404
        if request.method != "POST":
            return 405
        if _is_repeated(request):
            return 400  # who looks at the first, and who at the last?
        return 409 if self._replays.is_one(request.headers.get(SIGNATURE_HEADER, "")) else 0

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
                    self._believe(name, headers, answer)
                is_nothing = answer.status_code == 200 and not answer.content
                if name != PULL or not is_nothing or not await self.waiting.hold(ring, until):
                    break
                if await request.is_disconnected():
                    break  # the order would be given to nobody
        except httpx.HTTPError:
            return Response(status_code=503)
        back = {k: v for k, v in answer.headers.items() if k in _BACK or k.startswith("flwr-")}
        return Response(answer.content, status_code=answer.status_code, headers=back)

    def _believe(self, name: str, headers: Mapping[str, str], answer: httpx.Response) -> None:
        """The SuperLink has believed a caller; count what it gave."""
        site = headers.get(SITE_HEADER, "")
        self._held.known.add(site)
        self.waiting.note(name, site)
        self._replays.note(headers.get(SIGNATURE_HEADER, ""), time.monotonic())
        if name == PULL and answer.content:
            self._quota.note_message(site)
        elif name.startswith("pull-"):
            self._quota.note_down(site, len(answer.content))


def _is_repeated(request: Request) -> bool:
    """Whether a header stands twice that is passed on, or says how long the body is."""
    names = [name.decode("latin-1").lower() for name, _ in request.headers.raw]
    ours = [name for name in names if name.startswith((*_PASSED_ON, "content-", "host"))]
    return len(set(ours)) < len(ours)


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
