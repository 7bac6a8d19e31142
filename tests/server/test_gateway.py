"""The gateway forwards ten paths of bounded size, and says so in its audit file."""

import json
import ssl
import threading
import time

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from calyx.certificates import make_server
from server.gateway import Behind, Buckets, Limits, make_gateway


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A real TLS server that says what reached it."""
    folder = tmp_path_factory.mktemp("keys")
    make_server(folder, ["127.0.0.1"])
    seen = []

    async def note(request):
        seen.append((request.url.path, dict(request.headers), await request.body()))
        return Response(b"answer", headers={"flwr-x": "1", "set-cookie": "a=b"})

    config = uvicorn.Config(
        Starlette(routes=[Route("/{path:path}", note, methods=["POST"])]),
        host="127.0.0.1",
        port=0,
        ssl_certfile=str(folder / "server.crt"),
        ssl_keyfile=str(folder / "server.key"),
        log_level="warning",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"127.0.0.1:{port}", folder, seen
    server.should_exit = True
    thread.join()


@pytest.fixture
def gateway(behind, tmp_path):
    address, folder, seen = behind
    seen.clear()
    limits = Limits(max_body_bytes=1000, burst=50, requests_per_s=0.001)
    app = make_gateway(Behind(address, folder / "ca.crt", None), tmp_path / "audit.jsonl", limits)
    with TestClient(app) as client:
        yield client


def test_a_fleet_request_goes_through_with_what_belongs_to_it(gateway, behind, tmp_path):
    headers = {
        "flwr-public-key": "key",
        "flwr-signature": "signature",
        "flwr-task-token": "stolen",
        "flwr-superexec-signature": "stolen",
        "authorization": "Bearer x",
        "cookie": "a=b",
        "x-forwarded-for": "10.0.0.1",
    }
    answer = gateway.post("/v1/fleet/pull-messages", content=b"body", headers=headers)
    assert (answer.status_code, answer.content) == (200, b"answer")
    assert "set-cookie" not in answer.headers
    ((path, seen, body),) = behind[2]
    assert (path, body) == ("/v1/fleet/pull-messages", b"body")
    assert (seen["flwr-public-key"], seen["flwr-signature"]) == ("key", "signature")
    for name in ("flwr-task-token", "flwr-superexec-signature", "authorization", "cookie"):
        assert name not in seen
    row = json.loads((tmp_path / "audit.jsonl").read_text())
    assert (row["path"], row["status"]) == ("/v1/fleet/pull-messages", 200)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/control/list-runs", 404),
        ("POST", "/v1/runtime/acquire-task", 404),
        ("POST", "/v1/fleet/register-node", 404),
        ("POST", "/v1/fleet/pull-messages/", 404),
        ("POST", "/v1/fleet//pull-messages", 404),
        ("POST", "/v1/fleet/%2e%2e/control/list-runs", 404),
        ("POST", "/V1/FLEET/pull-messages", 404),
        ("GET", "/v1/fleet/pull-messages", 405),
        ("DELETE", "/v1/fleet/pull-messages", 405),
        ("GET", "/docs", 404),
    ],
)
def test_everything_else_stays_outside(gateway, behind, method, path, status):
    assert gateway.request(method, path).status_code == status
    assert behind[2] == []


def test_a_body_that_is_too_large_is_not_read_to_its_end(gateway, behind):
    assert gateway.post("/v1/fleet/push-object", content=b"x" * 1001).status_code == 413
    head = {"content-length": "99999999999999"}
    assert gateway.post("/v1/fleet/push-object", content=b"x", headers=head).status_code == 413

    def endless():
        for _ in range(100):
            yield b"x" * 100

    assert gateway.post("/v1/fleet/push-object", content=endless()).status_code == 413
    assert behind[2] == []


def test_an_address_that_asks_too_often_is_held_back(gateway):
    codes = [gateway.post("/v1/fleet/get-run", content=b"").status_code for _ in range(60)]
    assert codes[:50] == [200] * 50
    assert set(codes[50:]) == {429}


def test_a_bucket_fills_again_and_each_address_has_its_own():
    buckets = Buckets(Limits(requests_per_s=2, burst=3))
    assert [buckets.allow("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.allow("b", 0.0)
    assert buckets.allow("a", 0.5)
    assert not buckets.allow("a", 0.5)


def test_memory_for_addresses_is_bounded():
    buckets = Buckets(Limits(requests_per_s=1000, burst=1000))
    for i in range(30_000):
        buckets.allow(f"10.0.{i}", i * 0.001)
    assert len(buckets._left) <= 10_002


def test_a_server_that_is_down_is_said_as_503(behind, tmp_path):
    app = make_gateway(Behind("127.0.0.1:9", behind[1] / "ca.crt", None), tmp_path / "a", Limits())
    with TestClient(app) as client:
        assert client.post("/v1/fleet/get-run", content=b"").status_code == 503


def test_the_servers_certificate_is_checked_by_its_own_authority_only(behind):
    address, folder, _ = behind
    trusted = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    assert httpx.post(f"https://{address}/x", content=b"", verify=trusted).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.post(f"https://{address}/x", content=b"")
