"""The gateway's paths, and what every answer has in common: an id, and problem details where it is refused.

Handlers take the raw request and give bytes: a body is parsed once, by what the schema says.
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from calyx.serving.access_config import Scope
from calyx.serving.gateway import Answer, Gateway
from calyx.serving.refusals import as_response, refuse_status

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
PREDICT, MODEL, METRICS = "/v1/predict", "/v1/model", "/metrics"
_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


def make_app(gateway: Gateway, lifespan: Lifespan | None = None) -> ASGIApp:
    """All that the gateway answers."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False
    )

    async def alive(request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(request: Request) -> Response:
        said = gateway.tell_ready()
        return JSONResponse(said, status_code=200 if said["ready"] else 503)

    doors: tuple[tuple[str, str, Scope, Answer], ...] = (
        (PREDICT, "POST", "predict", gateway.predict),
        (MODEL, "GET", "model", gateway.tell_model),
        (METRICS, "GET", "metrics", gateway.tell_metrics),
        ("/openapi.json", "GET", "docs", gateway.tell_openapi),
        ("/docs", "GET", "docs", gateway.tell_docs),
    )
    for path, method, scope, answer in doors:
        app.add_route(path, _door(gateway, scope, answer), [method])
    app.add_route("/healthz", alive, ["GET"])
    app.add_route("/readyz", ready, ["GET"])
    for route in app.routes:
        if isinstance(route, Route):  # Starlette's own end in `$`, which lets a newline follow
            route.path_regex = re.compile(rf"{re.escape(route.path)}\Z")
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(Exception, _fail)
    return Identified(app)


def _door(
    gateway: Gateway, scope: Scope, answer: Answer
) -> Callable[[Request], Awaitable[Response]]:
    """What answers on a path to callers with this scope."""

    async def answer_one(request: Request) -> Response:
        return await gateway.exchange(request, scope, answer)

    return answer_one


async def _refuse(request: Request, error: Exception) -> Response:
    """What the router refuses: 404 and 405, in the form of all refusals."""
    status, headers = 500, None
    if isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
    return as_response(refuse_status(status), request.scope["calyx.id"], headers)


async def _fail(request: Request, error: Exception) -> Response:
    return as_response(refuse_status(500), request.scope["calyx.id"])


class Identified:
    """Gives each request an id of our own, which its answer names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["calyx.id"] = secrets.token_hex(16)
        own = [(b"x-request-id", request_id.encode()), *_HEADERS]

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *own]
            await send(message)

        await self._app(scope, receive, send_named)
