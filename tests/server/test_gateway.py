"""The gateway forwards ten paths of bounded size, and says so in its audit file."""

import base64
import json
import socket
import ssl
import threading
import time

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from support.tls import served

from calyx.authority import make_server
from calyx.bell import AppBell, bind_bell
from server.gateway import HOLD_S, Behind, make_gateway
from server.guard import Audit, Buckets, Limits, Replays


@pytest.fixture
def gateway(behind, tmp_path):
    address, folder, seen = behind
    seen.clear()
    limits = Limits(max_body_bytes=1000, burst=50, requests_per_s=0.001, refused_cost=5)
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


def signature(r, s=1):
    return base64.b64encode(encode_dss_signature(r, s)).decode()


def test_a_request_with_a_signature_that_was_used_is_refused(gateway, behind):
    for r, path in enumerate(("/v1/fleet/push-object", "/v1/fleet/pull-messages")):
        head = {"flwr-public-key": "key", "flwr-signature": signature(r)}
        assert gateway.post(path, content=b"1", headers=head).status_code == 200
        for other in ("/v1/fleet/push-object", "/v1/fleet/get-run"):
            assert gateway.post(other, content=b"2", headers=head).status_code == 409
        head["flwr-signature"] = signature(r, s=7)  # (r, n - s) is as good as (r, s)
        assert gateway.post(path, content=b"3", headers=head).status_code == 409
    assert [body for _, _, body in behind[2]] == [b"1", b"1"]


def test_signatures_are_forgotten_when_nobody_believes_them_any_more(monkeypatch):
    replays = Replays()
    for i in range(1000):
        replays.note(signature(i), float(i))
    assert replays.is_one(signature(999))
    assert replays.is_one(signature(700))
    assert not replays.is_one(signature(500))
    monkeypatch.setattr("server.guard.MAX_SEEN", 50)
    for i in range(1000, 1100):
        replays.note(signature(i), 1000.0)
    assert len(replays._seen) <= 51


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


class Silent:
    """What the SuperLink says to a question for messages: nothing, until there is one."""

    def __init__(self):
        self.messages, self.asked = [], 0

    async def answer(self, request):
        self.asked += request.url.path.endswith("pull-messages")
        is_pull = request.url.path.endswith("pull-messages")
        return Response(self.messages.pop() if is_pull and self.messages else b"")


@pytest.fixture
def silent(tmp_path):
    """A SuperLink without messages, and a gateway with a bell before it."""
    make_server(tmp_path / "keys", ["127.0.0.1"])
    link, own = Silent(), bind_bell()
    routes = [Route("/{path:path}", link.answer, methods=["POST"])]
    with served(Starlette(routes=routes), tmp_path / "keys") as address:
        link.app = AppBell(own.getsockname()[1])
        limits = Limits()
        app = make_gateway(
            Behind(address, tmp_path / "keys" / "ca.crt", own), tmp_path / "a", limits
        )
        with TestClient(app) as client:
            link.client = client
            yield link


def pull(link, site="north"):
    head = {"flwr-public-key": site}
    return link.client.post("/v1/fleet/pull-messages", content=b"", headers=head).content


def test_a_question_for_messages_is_held_until_an_app_has_sent_one(silent):
    found = []
    thread = threading.Thread(target=lambda: found.append(pull(silent)))
    thread.start()
    while not silent.asked:
        time.sleep(0.001)
    assert found == []
    silent.messages.append(b"message")
    silent.app.ring()
    thread.join(5)  # far below HOLD_S
    assert found == [b"message"]
    assert silent.asked == 2


def test_an_app_is_rung_when_a_site_that_has_sent_something_asks_for_more(silent):
    silent.app.ring()  # so that it is known
    head = {"flwr-public-key": "north"}
    silent.messages.append(b"first")
    assert pull(silent) == b"first"
    silent.client.post("/v1/fleet/push-messages", content=b"x", headers=head)
    silent.client.post("/v1/fleet/push-object", content=b"x", headers=head)
    silent.messages.append(b"second")
    silent.app.ring()
    assert pull(silent) == b"second"
    silent.app.wait(60, 1)  # returns at once


def test_who_is_not_believed_is_not_held(behind, gateway):
    """Only an empty answer that the SuperLink gave as a good one is worth a second question."""
    started = time.monotonic()
    assert gateway.post("/v1/fleet/pull-messages", content=b"").content == b"answer"
    assert time.monotonic() - started < HOLD_S


def test_a_gateway_that_ends_lets_everybody_go(silent):
    found = []
    thread = threading.Thread(target=lambda: found.append(pull(silent)))
    thread.start()
    while not silent.asked:
        time.sleep(0.001)
    silent.client.app.state.waiting.release()
    silent.app.ring()
    thread.join(5)
    assert found == [b""]


def test_a_refused_request_counts_for_several():
    buckets = Buckets(Limits(requests_per_s=1, burst=20, refused_cost=10))
    for _ in range(2):
        assert buckets.allow("a", 0.0)
        buckets.charge("a")
    assert not buckets.allow("a", 0.0)
    assert buckets.allow("b", 0.0)


def test_a_body_that_drips_is_given_up(behind, tmp_path):
    limits = Limits(body_s=0.3)
    app = make_gateway(Behind(behind[0], behind[1] / "ca.crt", None), tmp_path / "a", limits)
    with served(app, behind[1]) as address:
        host, port = address.split(":")
        trusted = ssl.create_default_context(cafile=str(behind[1] / "ca.crt"))
        with trusted.wrap_socket(
            socket.create_connection((host, int(port))), server_hostname=host
        ) as drip:
            drip.sendall(
                b"POST /v1/fleet/get-run HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1"
            )
            assert drip.recv(100).startswith(b"HTTP/1.1 503")


def test_an_order_is_not_fetched_for_a_site_that_has_gone(tmp_path):
    """It hung up while the gateway held its question."""
    make_server(tmp_path, ["127.0.0.1"])
    link, own = Silent(), bind_bell()
    trusted = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    behind = Starlette(routes=[Route("/{path:path}", link.answer, methods=["POST"])])
    with served(behind, tmp_path) as superlink:
        app = make_gateway(Behind(superlink, tmp_path / "ca.crt", own), tmp_path / "a", Limits())
        with served(app, tmp_path) as address:
            path = f"https://{address}/v1/fleet/pull-messages"
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(path, headers={"flwr-public-key": "north"}, verify=trusted, timeout=1)
            link.messages.append(b"the order")
            AppBell(own.getsockname()[1]).ring()
            time.sleep(0.5)
            assert link.messages == [b"the order"]
            head = {"flwr-public-key": "south"}
            assert httpx.post(path, headers=head, verify=trusted).content == b"the order"


def test_an_audit_file_counts_refusals_and_is_renamed_when_it_is_full(tmp_path):
    audit = Audit(tmp_path / "audit.jsonl", Limits(audit_bytes=2000))
    for _ in range(250):
        audit.write("10.0.0.1", {"path": "/x", "status": 429})
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["refused"] for line in lines] == [1, 10, 100]
    for _ in range(1000):
        audit.write("10.0.0.1", {"path": "/" + "\U0001f600" * 80, "status": 200})
    audit.close()
    files = list(tmp_path.iterdir())
    assert len(files) == 8
    assert sum(file.stat().st_size for file in files) <= 8 * 2000
