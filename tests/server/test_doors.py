"""What a stranger, a neighbour or a member can do to the gateway: little, and to nobody else."""

import random
import resource
import socket
import ssl
import threading
import time
from base64 import b64encode
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.supercore.primitives.asymmetric import sign_message
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor
from starlette.testclient import TestClient

from benchmarks.gateway import SOUND, answer, connect, nonsense
from server.doors import make_server
from server.gateway import Behind, make_gateway
from server.guard import Held, Limits, Quota


def test_bodies_of_one_sender_and_of_all_together_are_bounded():
    held = Held(Limits(site_bytes=150, total_bytes=200))
    north, elsewhere = ("north", "10.0.0.1"), ("north", "10.0.0.2")
    with held.of(north, 100) as first, held.of(north, 100) as too_much:
        assert (first, too_much) == (True, False)
        # Whoever uses a site's name at another address takes nothing of it away.
        with held.of(elsewhere, 100) as second, held.of(("", "10.0.0.3"), 1) as third:
            assert (second, third) == (True, False)
    with held.of(north, 100) as again:
        assert again


def test_a_site_pushes_twice_what_it_was_given_or_what_any_may():
    quota = Quota(Limits(answer_bytes=100))
    assert quota.allow_up("north", 60)
    assert not quota.allow_up("north", 60)
    assert quota.allow_up("south", 100)
    quota.note_message("north")  # the weights
    quota.note_down("north", 400)
    for _ in range(3):  # the next stages
        quota.note_message("north")
        assert quota.allow_up("north", 800)
        assert not quota.allow_up("north", 1)
    for _ in range(20):
        quota.note_message("north")
    assert not quota.allow_up("north", 101)


def test_a_large_body_needs_a_signature_of_the_site_that_it_is_for(behind, tmp_path):
    app = make_gateway(Behind(behind[0], behind[1] / "ca.crt", None), tmp_path / "a", Limits())
    key, other = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    body, path = b"x" * 2**20, "/v1/fleet/push-object"
    now = datetime.now(UTC)
    with TestClient(app) as client:

        def status(head, content=body, path=path):
            return client.post(path, content=content, headers=head).status_code

        assert status(signed(key)) == 503  # nobody knows it yet
        assert status(signed(key), b"x") == 200
        assert status(signed(key)) == 200
        public = signed(key)["flwr-public-key"]
        for forged in (
            {"flwr-public-key": public},
            signed(other) | {"flwr-public-key": public},
            signed(key, at=now - timedelta(minutes=6)),
            signed(key, at=now + timedelta(minutes=6)),
            signed(key) | {"flwr-timestamp": now.isoformat()},
            signed(key) | {"flwr-signature": "x" * 50_000},
        ):
            assert status(forged) == 401
        assert status(signed(key), path="/v1/fleet/push-messages", content=body + b"x") == 413


def test_a_header_that_stands_twice_is_refused(behind, tmp_path):
    """A gateway that looks at the first would pass on the last."""
    before = len(behind[2])
    app = make_gateway(Behind(behind[0], behind[1] / "ca.crt", None), tmp_path / "a", Limits())
    with TestClient(app) as client:
        for name in ("flwr-signature", "Flwr-Public-Key", "flwr-timestamp", "content-type"):
            head = [(name, "one"), (name.lower(), "two")]
            assert client.post("/v1/fleet/get-run", headers=head).status_code == 400
    assert len(behind[2]) == before


def test_a_site_is_served_behind_an_address_that_asks_too_often(behind, tmp_path):
    limits = Limits(burst=3, requests_per_s=0.001)
    app = make_gateway(Behind(behind[0], behind[1] / "ca.crt", None), tmp_path / "a", limits)
    key = ec.generate_private_key(ec.SECP384R1())
    with TestClient(app) as client:
        path = "/v1/fleet/get-run"
        assert client.post(path, headers=signed(key)).status_code == 200
        assert {client.post("/", content=b"").status_code for _ in range(9)} == {404, 429}
        assert client.post(path, headers=signed(key)).status_code == 200
        assert client.post(path, headers={"flwr-public-key": "x"}).status_code == 429


def signed(key, at=None):
    """What Flower's own node sends with a call; or what one sends whose clock is elsewhere."""
    if at is None:
        request = SimpleNamespace(headers={})
        node = NodeAuthHttpInterceptor(key, key.public_key())
        node.intercept(SimpleNamespace(request=request), lambda _: None)
        return {name.lower(): value for name, value in request.headers.items()}
    head = signed(key) | {"flwr-timestamp": at.isoformat()}
    signature = sign_message(key, at.isoformat().encode())
    return head | {"flwr-signature": b64encode(signature).decode()}


LIMITS = Limits(head_s=0.5, handshake_s=0.5, body_s=1.0, address_connections=20, burst=10**6)


@contextmanager
def serving(app, keys, limits):
    """The gateway as `calyx server` runs it, on loopback; its port."""
    server = make_server(app, keys, ("0.0.0.0", 0), limits)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join()


@pytest.fixture(scope="module")
def door(behind, tmp_path_factory):
    """The port of a gateway before a server that answers all, and whom to trust."""
    app = make_gateway(
        Behind(behind[0], behind[1] / "ca.crt", None), tmp_path_factory.mktemp("a") / "a", LIMITS
    )
    with serving(app, behind[1], LIMITS) as port:
        yield port, behind[1] / "ca.crt"


def test_a_head_without_an_end_is_cut_and_nobody_waits_for_it(door):
    line = connect(door)
    with closing(line):
        is_cut = False
        try:
            line.sendall(b"GET / HTTP/1.1\r\n")
            for _ in range(40_000):
                line.sendall(b"x-a: " + b"a" * 1000 + b"\r\n")
        except OSError:
            is_cut = True
        assert is_cut or line.recv(100).startswith(b"HTTP/1.1 400")
    assert answer(door, SOUND) == 200


def test_connections_that_say_nothing_whole_are_closed(door):
    raw = socket.create_connection(("127.0.0.1", door[0]), 5.0, ("127.0.0.9", 0))  # no TLS
    silent, half = connect(door, "127.0.0.9"), connect(door, "127.0.0.9")
    half.sendall(b"POST /v1/fl")
    for line in (raw, silent, half):
        with closing(line):
            line.settimeout(5.0)
            with suppress(ConnectionResetError, ssl.SSLError):
                assert line.recv(100) in (b"", raw)


def test_one_address_holds_its_share_of_the_connections_and_no_more(door):
    lines = []
    for _ in range(30):
        with suppress(OSError):
            lines.append(connect(door, "127.0.0.8"))
    assert answer(door, SOUND, "127.0.0.7") == 200
    for line in lines:
        line.close()


def test_malformed_exchanges_leave_the_gateway_small_and_its_sites_served(door):
    draw = random.Random(7)
    answer(door, SOUND)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(300):
        with suppress(OSError):
            answer(door, nonsense(draw), f"127.0.0.{draw.randrange(10, 250)}", patience_s=0.05)
        if number % 50 == 0:
            assert answer(door, SOUND) == 200
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 16 * 1024  # KiB
