"""The gateway forwards ten paths of bounded size, and says so in its audit file."""

import base64
import json
import socket
import ssl
import threading
import time

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from flwr.proto.fleet_pb2 import PullMessagesResponse, PushMessagesRequest
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, Metadata, ObjectTree
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.proto.node_pb2 import Node
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from support.tls import served

from benchmarks.malformed import NodeKey
from calyx.fleet.gateway import Behind, make_gateway
from calyx.fleet.guard import Audit, Held, Limits
from calyx.fleet.proofs import Replays
from calyx.fleet.quotas import Quotas
from calyx.fleet.waiting import HOLD_S
from calyx.flower.bell import AppBell, bind_bell
from calyx.flower.messages import FLEET_PATHS
from calyx.machine.neighbourhoods import Buckets, neighbourhood
from calyx.trust.authority import make_server

NORTH, SOUTH = NodeKey(), NodeKey()
# FIPS 186-4, D.1.2.4: the order of P-384.
P384_ORDER = int(
    "39402006196394479212279040100143613805079739270465446667946905279627659399113263569398956308152294913554433653942643"
)
SITES = {"north": NORTH.public, "south": SOUTH.public}


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A real TLS server that says what reached it."""
    folder = tmp_path_factory.mktemp("keys")
    make_server(folder, ["127.0.0.1"])
    seen, answers = [], []

    async def note(request):
        seen.append((request.url.path, dict(request.headers), await request.body()))
        return Response(
            answers.pop() if answers else b"answer", headers={"flwr-x": "1", "set-cookie": "a=b"}
        )

    with served(
        Starlette(routes=[Route("/{path:path}", note, methods=["POST"])]), folder
    ) as address:
        yield address, folder, seen, answers


@pytest.fixture
def gateway(behind, tmp_path):
    address, folder, seen, answers = behind
    seen.clear()
    answers.clear()
    limits = Limits(max_body_bytes=1000, burst=50, requests_per_s=0.001, refused_cost=5)
    behind = Behind(address, folder / "ca.crt", None, SITES)
    app = make_gateway(behind, tmp_path / "audit.jsonl", limits)
    with TestClient(app) as client:
        yield client


def test_a_fleet_request_goes_through_with_what_belongs_to_it(gateway, behind, tmp_path):
    signed = NORTH.headers()
    headers = {
        **signed,
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
    assert {name: seen[name] for name in signed} == signed
    for name in ("flwr-task-token", "flwr-superexec-signature", "authorization", "cookie"):
        assert name not in seen
    row = json.loads((tmp_path / "audit.jsonl").read_text())
    assert (row["path"], row["status"], row["site"]) == ("/v1/fleet/pull-messages", 200, "north")


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


def post(gateway, name, content=b"", signed=None, **headers):
    """What a site's request with a fresh signature is answered."""
    head = (signed or NORTH.headers()) | headers
    return gateway.post(f"/v1/fleet/{name}", content=content, headers=head)


def test_a_body_that_is_too_large_is_not_read_to_its_end(gateway, behind):
    assert post(gateway, "push-object", b"x" * 1001).status_code == 413
    head = {"content-length": "99999999999999"}
    assert post(gateway, "push-object", b"x", **head).status_code == 413

    def endless():
        for _ in range(100):
            yield b"x" * 100

    assert post(gateway, "push-object", endless()).status_code == 413
    assert behind[2] == []


def test_only_a_part_of_a_reply_may_be_large(behind, tmp_path):
    app = make_gateway(
        Behind(behind[0], behind[1] / "ca.crt", None, SITES), tmp_path / "a", Limits()
    )
    with TestClient(app) as client:
        for name in FLEET_PATHS - {"push-object"}:
            assert post(client, name, b"x" * (2**16 + 1)).status_code == 413
        assert post(client, "push-object", b"x" * 2**20).status_code == 200


def test_a_site_that_asks_too_often_is_held_back(gateway):
    codes = [post(gateway, "get-run").status_code for _ in range(60)]
    assert codes[:50] == [200] * 50
    assert set(codes[50:]) == {429}
    assert post(gateway, "get-run", signed=SOUTH.headers()).status_code == 200


def test_a_strangers_requests_do_not_shut_out_a_site_behind_the_same_address(gateway):
    """A site has a rate of its own: behind one address there may be a whole company."""
    codes = [gateway.post("/v1/fleet/get-run").status_code for _ in range(60)]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert post(gateway, "get-run").status_code == 200


def other(signed, **changes):
    return signed | {f"flwr-{name}": value for name, value in changes.items()}


STRANGERS = {
    "nothing": dict,
    "a public key alone": lambda: {"flwr-public-key": NORTH.headers()["flwr-public-key"]},
    "another key's signature": lambda: SOUTH.headers(claims=NORTH.public),
    "a key that nobody knows": lambda: NodeKey().headers(),
    "a time long ago": lambda: NORTH.headers(ahead_s=-306),
    "a time to come": lambda: NORTH.headers(ahead_s=6),
    "a time without a zone": lambda: other(NORTH.headers(), timestamp="2026-11-28T12:00:00"),
    "another time": lambda: other(NORTH.headers(), timestamp=NORTH.headers()["flwr-timestamp"]),
    "no time": lambda: other(NORTH.headers(), timestamp="x"),
    "no base64": lambda: other(NORTH.headers(), signature="*"),
    "no signature": lambda: other(NORTH.headers(), signature="eHh4"),
}


@pytest.mark.parametrize("head", STRANGERS.values(), ids=STRANGERS)
def test_a_request_that_no_site_has_signed_just_now_does_not_come_to_the_superlink(
    gateway, behind, head
):
    answer = gateway.post("/v1/fleet/push-object", content=b"x" * 900, headers=head())
    assert answer.status_code == 401
    assert behind[2] == []


@pytest.mark.parametrize("ahead_s", [-304, 4])
def test_a_clock_that_is_as_wrong_as_flower_allows_is_believed(gateway, ahead_s):
    assert post(gateway, "get-run", signed=NORTH.headers(ahead_s)).status_code == 200


@pytest.mark.parametrize("name", ["flwr-signature", "flwr-public-key", "flwr-run", "accept"])
def test_a_header_that_comes_twice_is_refused(gateway, behind, name):
    """The gateway would look at the first, and the SuperLink at the last."""
    head = [*NORTH.headers().items(), (name, "decoy"), (name, "decoy")]
    assert gateway.post("/v1/fleet/get-run", headers=head).status_code == 400
    assert behind[2] == []


def test_a_request_with_a_signature_that_was_used_is_refused(gateway, behind):
    for path in ("push-object", "get-run"):
        head = NORTH.headers()
        assert post(gateway, path, b"1", signed=head).status_code == 200
        for again in ("push-object", "get-run"):
            assert post(gateway, again, b"2", signed=head).status_code == 409
        r, s = decode_dss_signature(base64.b64decode(head["flwr-signature"]))
        twin = encode_dss_signature(r, P384_ORDER - s)  # as good as (r, s)
        head["flwr-signature"] = base64.b64encode(twin).decode()
        assert post(gateway, path, b"3", signed=head).status_code == 409
    assert [body for _, _, body in behind[2]] == [b"1", b"1"]


def test_signatures_are_forgotten_when_nobody_believes_them_any_more(monkeypatch):
    replays = Replays()
    for i in range(1000):
        replays.note(i, float(i))
    assert replays.is_one(999)
    assert replays.is_one(700)
    assert not replays.is_one(500)
    monkeypatch.setattr("calyx.fleet.proofs.MAX_SEEN", 50)
    for i in range(1000, 1100):
        replays.note(i, 1000.0)
    assert len(replays._seen) <= 51


def test_what_a_site_pushes_in_an_exchange_is_bounded_by_what_came_down_to_it():
    """At least 100 bytes, or twice the largest of its last messages, between two messages."""
    quotas = Quotas(least=100)
    assert push(quotas, "a", 90)
    assert not push(quotas, "b", 11)
    assert push(quotas, "c", 10)
    quotas.note_messages("north", ["m"], 20)
    quotas.note_part("north", "weights", 280)
    quotas.note_part("north", "weights", 280)  # pulled again it allows no more
    assert push(quotas, "d", 600)
    assert not push(quotas, "e", 1)
    for _ in range(4):  # the vector comes stages later
        quotas.note_messages("north", ["m"], 20)
    assert push(quotas, "f", 600)
    assert not push(quotas, "g", 1)
    for _ in range(64):
        quotas.note_messages("north", ["m"], 20)
    assert not push(quotas, "h", 101)
    assert push(quotas, "h", 100)
    assert quotas.left("south") == 100


def test_a_part_that_has_to_be_sent_again_counts_once():
    """The SuperLink was away, or its answer was lost."""
    quotas = Quotas(least=150)
    for part in (None, None, "a", "a"):
        assert push(quotas, part, 60)
    assert quotas.left("north") == 90


def push(quotas, part, size):
    with quotas.push("north", size) as allowed:
        if allowed is not None:
            allowed.part = part
        return allowed is not None


def test_a_site_pushes_its_own_replies_only_and_confirms_what_it_was_sent(gateway, behind):
    """Flower believes the sender that a message names, and deletes what anybody confirms."""

    def message(source, asked):
        one = ProtoMessage(metadata=Metadata(src_node_id=source, reply_to_message_id=asked))
        return PushMessagesRequest(
            node=Node(node_id=7), messages_list=[one], message_object_trees=[ObjectTree()]
        ).SerializeToString()

    assert post(gateway, "push-messages", message(7, "m")).status_code == 200
    for forged in (message(8, "m"), message(7, ""), b"", b"\xff"):
        assert post(gateway, "push-messages", forged).status_code == 400
    confirmed = ConfirmMessageReceivedRequest(message_object_id="m").SerializeToString()
    assert post(gateway, "confirm-message-received", confirmed).status_code == 403
    orders = [ProtoMessage(metadata=Metadata(message_id="m"))]
    behind[3].append(PullMessagesResponse(messages_list=orders).SerializeToString())
    assert post(gateway, "pull-messages").status_code == 200
    assert post(gateway, "confirm-message-received", confirmed).status_code == 200
    other = post(gateway, "confirm-message-received", confirmed, signed=SOUTH.headers())
    assert other.status_code == 403


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
    away = Behind("127.0.0.1:9", behind[1] / "ca.crt", None, SITES)
    with TestClient(make_gateway(away, tmp_path / "a", Limits())) as client:
        assert post(client, "get-run").status_code == 503


def test_the_servers_certificate_is_checked_by_its_own_authority_only(behind):
    address, folder, *_ = behind
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
        behind = Behind(address, tmp_path / "keys" / "ca.crt", own, SITES)
        app = make_gateway(behind, tmp_path / "a", limits)
        with TestClient(app) as client:
            link.client = client
            yield link


def pull(link):
    return post(link.client, "pull-messages").content


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
    silent.messages.append(b"first")
    assert pull(silent) == b"first"
    post(silent.client, "push-object", b"x")
    silent.messages.append(b"second")
    silent.app.ring()
    assert pull(silent) == b"second"
    silent.app.wait(60, 1)  # returns at once


def test_who_is_not_believed_is_not_held(behind, gateway):
    """Only an empty answer that the SuperLink gave as a good one is worth a second question."""
    started = time.monotonic()
    assert post(gateway, "pull-messages").content == b"answer"
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


def test_bodies_of_a_site_and_of_all_sites_are_bounded():
    held = Held(Limits(site_bytes=150, total_bytes=200))
    with held.of("north", 100) as first, held.of("north", 100) as too_much:
        assert (first, too_much) == (True, False)
        with held.of("south", 100) as second, held.of("west", 1) as third:
            assert (second, third) == (True, False)
    with held.of("north", 100) as again:
        assert again


def test_two_empty_requests_of_a_site_at_once_are_both_counted():
    """Whichever ends first: a pipelined one that was cut off answered the site's next with 500."""
    held = Held(Limits(site_bytes=150, total_bytes=200))
    with held.of("north", 0) as outer, held.of("north", 0) as inner:
        assert (outer, inner) == (True, True)
    with held.of("north", 150) as again:
        assert again


def test_an_address_of_ipv6_is_a_subscribers_64_bits():
    assert neighbourhood("2001:db8:1:2:3::4") == neighbourhood("2001:db8:1:2:ffff::1")
    assert neighbourhood("2001:db8:1:2::") != neighbourhood("2001:db8:1:3::")
    assert neighbourhood("::ffff:10.0.0.1") == neighbourhood("10.0.0.1") == "10.0.0.1"
    assert neighbourhood("unknown") == "unknown"


def test_a_body_that_drips_is_given_up(behind, tmp_path):
    limits = Limits(body_s=0.3)
    guarded = Behind(behind[0], behind[1] / "ca.crt", None, SITES)
    with served(make_gateway(guarded, tmp_path / "a", limits), behind[1]) as address:
        host, port = address.split(":")
        trusted = ssl.create_default_context(cafile=str(behind[1] / "ca.crt"))
        with trusted.wrap_socket(
            socket.create_connection((host, int(port))), server_hostname=host
        ) as drip:
            head = "".join(f"{name}: {text}\r\n" for name, text in NORTH.headers().items())
            drip.sendall(
                f"POST /v1/fleet/get-run HTTP/1.1\r\n{head}host: x\r\n".encode()
                + b"content-length: 9\r\n\r\n1"
            )
            assert drip.recv(100).startswith(b"HTTP/1.1 503")


def test_an_order_is_not_fetched_for_a_site_that_has_gone(tmp_path):
    """It hung up while the gateway held its question."""
    make_server(tmp_path, ["127.0.0.1"])
    link, own = Silent(), bind_bell()
    trusted = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    behind = Starlette(routes=[Route("/{path:path}", link.answer, methods=["POST"])])
    with served(behind, tmp_path) as superlink:
        guarded = Behind(superlink, tmp_path / "ca.crt", own, SITES)
        app = make_gateway(guarded, tmp_path / "a", Limits())
        with served(app, tmp_path) as address:
            path = f"https://{address}/v1/fleet/pull-messages"
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(path, headers=NORTH.headers(), verify=trusted, timeout=1)
            link.messages.append(b"the order")
            AppBell(own.getsockname()[1]).ring()
            time.sleep(0.5)
            assert link.messages == [b"the order"]
            assert httpx.post(path, headers=SOUTH.headers(), verify=trusted).content == b"the order"


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
