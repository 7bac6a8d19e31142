"""What tests of the gateway share."""

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from support.tls import served

from calyx.authority import make_server


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A real TLS server that says what reached it."""
    folder = tmp_path_factory.mktemp("keys")
    make_server(folder, ["127.0.0.1"])
    seen = []

    async def note(request):
        seen.append((request.url.path, dict(request.headers), await request.body()))
        return Response(b"answer", headers={"flwr-x": "1", "set-cookie": "a=b"})

    with served(
        Starlette(routes=[Route("/{path:path}", note, methods=["POST"])]), folder
    ) as address:
        yield address, folder, seen
