"""The one door of a server: TLS outside, the Fleet API behind it, and nothing else of Flower.

Sites reach ten paths, by POST, with a body of bounded size; each request is one line of an audit
file. A request that no site's node key has signed just now ends here (decision 0059). What a site
may do is decided by Flower's node authentication behind it, to which its headers go untouched.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from calyx.fleet.guard import Audit, Held, Limits
from calyx.fleet.proofs import Proofs, Replayed
from calyx.fleet.quotas import Quotas
from calyx.fleet.waiting import HOLD_S, PULL, Waiting
from calyx.flower.bell import GatewayBell
from calyx.flower.fleet import (
    is_own_reply,
    read_confirmed_message,
    read_delivered_messages,
    read_pulled_object,
    read_pushed_object,
)
from calyx.flower.messages import FLEET_PATHS, FLEET_PREFIX
from calyx.machine.neighbourhoods import Buckets, neighbourhood

PUSH, CONFIRM = "push-messages", "confirm-message-received"
PULL_PART, PUSH_PART = "pull-object", "push-object"
_PASSED_ON = ("flwr-", "content-type", "accept")  # heads of names of headers
_KEPT_BACK = ("flwr-task", "flwr-superexec")  # what opens Flower's other interfaces
_BACK = ("content-type",)
_CLOSE = {"connection": "close"}


@dataclass(frozen=True)
class Behind:
    """The SuperLink, and the bell that its server apps ring."""

    address: str  # HOST:PORT
    authority: Path
    bell: socket.socket | None
    sites: Mapping[str, bytes] = field(default_factory=dict)
    """Public node keys (PEM) by the names of the sites that may connect."""


def make_gateway(behind: Behind, audit: Path, limits: Limits) -> Starlette:
    """The app that forwards to the SuperLink; `audit` is appended to."""
    gate = Gate(behind, limits)
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
        site, response = await gate.answer(request, neighbourhood(address))
        row = {
            "path": request.url.path[:80],
            "status": response.status_code,
            "bytes": len(response.body),
            "seconds": round(time.monotonic() - started, 4),
        }
        if site is not None:
            row["site"] = site
        request.app.state.audit.write(address, row)
        return response

    gateway = Starlette(
        routes=[Route("/{path:path}", forward, methods=["POST", "GET", "PUT", "DELETE", "PATCH"])],
        lifespan=lifespan,
    )
    gateway.state.waiting = waiting
    return gateway


class Gate:
    """Decides which requests go through, and passes them on."""

    def __init__(self, behind: Behind, limits: Limits) -> None:
        self._behind, self._limits, self.waiting = behind.address, limits, Waiting()
        self._held, self._quotas = Held(limits), Quotas(limits.max_body_bytes)
        self._proofs, self._buckets = Proofs(behind.sites), Buckets(limits)

    async def answer(self, request: Request, address: str) -> tuple[str | None, Response]:
        """Which site has asked, if one has proven itself, and the SuperLink's answer or a refusal."""
        site, refusal = self._meet(request)
        # Behind one address there may be a site and somebody else: the site has a rate of its own.
        who = address if site is None else f"site {site}"
        if not self._buckets.allow(who, time.monotonic()):
            return site, Response(status_code=429, headers={} if site else _CLOSE)
        if site is None:
            await self._drain(request)
            response = Response(status_code=refusal, headers=_CLOSE)
        else:
            mark = request.scope.get("state", {}).get("prove")
            if mark is not None:
                mark(site)
            response = await self._pass(request, site)
        if 400 <= response.status_code < 500:
            self._buckets.charge(who)
        return site, response

    def _meet(self, request: Request) -> tuple[str | None, int]:
        """The site that has signed this request; else None, and the status of the refusal."""
        name = request.url.path.removeprefix(FLEET_PREFIX)
        if not request.url.path.startswith(FLEET_PREFIX) or name not in FLEET_PATHS:
            return None, 404
        if request.method != "POST":
            return None, 405
        names = [k for k in request.headers if k.startswith((*_PASSED_ON, "content-length"))]
        if len(names) != len(set(names)):  # we would look at one, and the SuperLink at another
            return None, 400
        try:
            return self._proofs.name(request.headers), 401
        except Replayed:
            return None, 409

    async def _drain(self, request: Request) -> None:
        """Read a small body to its end, and keep nothing of it.

        The stranger may be an honest site whose clock is wrong. Cut off in the middle, it would not see
        the status that says so.
        """
        declared = request.headers.get("content-length", "")
        if not declared.isdecimal() or len(declared) > 6:
            return
        if int(declared) > self._limits.small_body_bytes:
            return
        try:
            async with asyncio.timeout(min(self._limits.head_s, self._limits.body_s)):
                async for _ in request.stream():
                    pass
        except (TimeoutError, ClientDisconnect):
            return

    async def _pass(self, request: Request, site: str) -> Response:
        """What the SuperLink answers to a site, or a refusal."""
        name = request.url.path.removeprefix(FLEET_PREFIX)
        declared = request.headers.get("content-length", "")
        limit = self._limits.small_body_bytes
        if name == PUSH_PART:
            limit = self._limits.max_body_bytes
        if declared and (not declared.isdecimal() or len(declared) > 12 or int(declared) > limit):
            return Response(status_code=413, headers=_CLOSE)
        size = int(declared) if declared else limit
        with self._held.of(site, size) as has_room:
            if not has_room:
                return Response(status_code=503, headers=_CLOSE)  # it tries again
            if name not in (PUSH, PUSH_PART):
                return await self._read_and_forward(request, site, limit)
            with self._quotas.push(site, size) as push:
                if push is None:
                    return Response(status_code=413, headers=_CLOSE)
                response = await self._read_and_forward(request, site, limit)
                if response.status_code == 200:
                    push.part = response.pushed
                return response

    async def _read_and_forward(self, request: Request, site: str, limit: int) -> "Answer":
        try:
            async with asyncio.timeout(self._limits.body_s):
                body = await _body(request, limit)
        except TimeoutError:
            return Answer(status_code=503, headers=_CLOSE)
        if body is None:
            return Answer(status_code=413, headers=_CLOSE)
        name = request.url.path.removeprefix(FLEET_PREFIX)
        if name == PUSH and not is_own_reply(body):
            return Answer(status_code=400)
        if name == CONFIRM and not self._quotas.has_message(site, read_confirmed_message(body)):
            return Answer(status_code=403)
        answer = await self._forward(request, site, body)
        if answer.status_code == 200:
            self._note(name, site, body, answer)
        return answer

    def _note(self, name: str, site: str, body: bytes, answer: "Answer") -> None:
        """Count what was handed to a site, and note which part it has pushed."""
        self.waiting.note(name, site)
        if name == PULL and answer.body:
            content = bytes(answer.body)
            self._quotas.note_messages(site, read_delivered_messages(content), len(content))
        elif name == PULL_PART:
            self._quotas.note_part(site, read_pulled_object(body), len(answer.body))
        elif name in (PUSH, PUSH_PART):
            answer.pushed = (
                read_pushed_object(body) if name == PUSH_PART else sha256(body).hexdigest()
            )

    async def _forward(self, request: Request, site: str, body: bytes) -> "Answer":
        name = request.url.path.removeprefix(FLEET_PREFIX)
        headers = {
            k: v
            for k, v in request.headers.items()
            if k.startswith(_PASSED_ON) and not k.startswith(_KEPT_BACK)
        }
        until = time.monotonic() + HOLD_S
        try:
            while True:
                ring = await self.waiting.begin(name, site)
                answer = await request.app.state.client.post(
                    f"https://{self._behind}{FLEET_PREFIX}{name}", content=body, headers=headers
                )
                is_nothing = answer.status_code == 200 and not answer.content
                if name != PULL or not is_nothing or not await self.waiting.hold(ring, until):
                    break
                if await request.is_disconnected():
                    break  # the order would be given to nobody
        except httpx.HTTPError:
            return Answer(status_code=503)
        back = {k: v for k, v in answer.headers.items() if k in _BACK or k.startswith("flwr-")}
        return Answer(answer.content, status_code=answer.status_code, headers=back)


class Answer(Response):
    """A response that says which part a site has pushed with its request, if it has."""

    pushed: str | None = None


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
