"""Over real TLS: whoever says nothing, or nonsense, holds no memory and nobody up."""

import asyncio
import contextlib
import ctypes
import gc
import json
import socket
import ssl
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from support.tls import served

from benchmarks.gateway import Sender, resident_bytes, serve_throughout
from benchmarks.malformed import ASK, Malformed, NodeKey, head
from calyx.fleet.gateway import Behind, make_gateway
from calyx.fleet.guard import Limits
from calyx.fleet.listening import GatewayServer, with_files
from calyx.machine.guests import Guest, Guests
from calyx.trust.authority import make_server

LIMITS = Limits(connections=60, address_connections=20)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway whose site is `north`, before a SuperLink that answers everything."""
    folder, site = tmp_path_factory.mktemp("gateway"), NodeKey()
    make_server(folder, ["127.0.0.1"])

    async def answer(request):
        await request.body()
        return Response(b"answer")

    routes = [Route("/{path:path}", answer, methods=["POST"])]
    with served(Starlette(routes=routes), folder) as superlink:
        behind = Behind(superlink, folder / "ca.crt", None, {"north": site.public})
        app = make_gateway(behind, folder / "audit.jsonl", LIMITS)
        server = GatewayServer(app, "127.0.0.1", 0, folder, LIMITS)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.listeners[0].getsockname()[1]
        trusted = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        anew = httpx.Limits(max_keepalive_connections=0)
        url = f"https://127.0.0.1:{port}"
        with httpx.Client(verify=trusted, base_url=url, limits=anew) as client:
            yield SimpleNamespace(
                folder=folder, site=site, port=port, trusted=trusted, client=client, server=server
            )
        server.should_exit = True
        thread.join()


def is_served(gateway):
    return gateway.client.post(ASK, headers=gateway.site.headers()).content == b"answer"


def plain(gateway):
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=20)


def speak(gateway, *texts):
    """What is answered to bytes over TLS, to the end of the connection."""
    with gateway.trusted.wrap_socket(plain(gateway), server_hostname="127.0.0.1") as connection:
        said = b""
        with contextlib.suppress(OSError):
            for text in texts:
                connection.sendall(text)
                said += connection.recv(10_000) if text is not texts[-1] else b""
            while part := connection.recv(10_000):
                said += part
        return said


def kept_bytes():
    """Memory of this process, without what the sending side has freed."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes()


def test_300_malformed_exchanges_leave_the_memory_as_it_was_and_a_site_is_served(gateway):
    address = f"127.0.0.1:{gateway.port}"
    sender = Sender(address, gateway.folder / "ca.crt", Malformed(gateway.site, 21))

    async def attack():
        await sender.send(60, 0.05)  # so that everything is loaded once
        before, until = kept_bytes(), asyncio.Event()
        site = serve_throughout(address, gateway.folder / "ca.crt", gateway.site, until)
        watched = asyncio.create_task(site)
        await sender.send(300, 0.05)
        until.set()
        seconds = await watched
        return seconds, kept_bytes() - before

    seconds, growth = asyncio.run(attack())
    assert len(sender.sent) >= 17
    assert len(seconds) > 5
    assert growth < 16 * 2**20


@pytest.mark.parametrize(
    "content",
    [
        head("/", {}, *["a: b"] * 100),
        head("/" + "a" * 2**16, {}),
        b"GET / HTTP/1.1\r\nx: " + b"a" * 2**16,
        b"GET / HTTP/1.1\n" + b"a: b\n" * 100,
    ],
    ids=["lines", "address", "no end", "bare newlines"],
)
def test_a_head_is_bounded_before_it_is_parsed(gateway, content):
    assert speak(gateway, content).startswith(b"HTTP/1.1 431 ")


def test_a_head_within_the_bounds_is_answered(gateway):
    """98 headers after the request's line and the host; nothing lies at this path."""
    assert speak(gateway, head("/", {"x": "a" * 60_000}, *["a: b"] * 96)).startswith(
        b"HTTP/1.1 404 "
    )


def test_who_goes_on_sending_after_a_refusal_is_cut_off(gateway, monkeypatch):
    monkeypatch.setattr("calyx.fleet.listening._LINGER_S", 0.1)
    line = b"x-a: " + b"a" * 1000 + b"\r\n"
    with gateway.trusted.wrap_socket(plain(gateway), server_hostname="127.0.0.1") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            all(connection.sendall(line) is None for _ in iter(int, 1))


SILENCE = {
    "no handshake": None,
    "no request": (),
    "half a head": (b"POST / HTTP/1.1\r\nhost:",),
    "half a second head": (
        b"DELETE / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost:",
    ),
}


@pytest.mark.parametrize("texts", SILENCE.values(), ids=SILENCE)
def test_who_does_not_come_to_the_end_of_a_request_is_cut_off(gateway, texts, monkeypatch):
    monkeypatch.setattr(gateway.server, "_limits", replace(LIMITS, head_s=0.2))
    if texts is not None:
        speak(gateway, *texts)  # returns when the gateway ends it, after a while
        return
    with plain(gateway) as connection:
        assert connection.recv(1) == b""


def test_a_second_request_before_the_first_is_answered_is_cut_off(gateway):
    signed = (head(ASK, gateway.site.headers(), "content-length: 0") for _ in range(3))
    assert speak(gateway, b"".join(signed)).count(b"answer") <= 1
    assert is_served(gateway)


def test_silent_connections_of_a_sites_own_address_go_when_the_site_comes(gateway):
    """Sixty are all that there are, and twenty of one address."""
    assert is_served(gateway)
    crowd = [plain(gateway) for _ in range(80)]
    assert is_served(gateway)
    for connection in crowd:
        connection.close()


def test_the_address_that_is_counted_is_the_connections_and_none_that_a_header_names(gateway):
    forged = {"x-forwarded-for": "10.9.8.7", "forwarded": "for=10.9.8.7"}
    gateway.client.post(ASK, headers=gateway.site.headers() | forged)
    rows = (gateway.folder / "audit.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["address"] == "127.0.0.1"
    assert "10.9.8.7" not in "".join(rows)


class Crowd:
    """Connections, and which of them were ended, in that order."""

    def __init__(self, **limits):
        self.guests, self.ended = Guests(Limits(**limits)), []

    def come(self, name, address):
        guest = Guest(address, lambda: self.ended.append(name))
        self.guests.add(guest)
        return guest


def test_the_oldest_stranger_of_the_largest_crowd_goes_first():
    crowd = Crowd(connections=5, address_connections=3)
    for name in ("a1", "a2", "a3", "a4"):
        crowd.come(name, "a")
    assert crowd.ended == ["a1"]
    crowd.come("b1", "b")
    crowd.come("b2", "b")
    assert crowd.ended == ["a1"]
    crowd.come("c1", "c")
    assert crowd.ended == ["a1", "a2"]


def test_a_connection_that_a_site_has_proven_itself_on_stays():
    crowd = Crowd(connections=2, address_connections=2, site_connections=2)
    sites = [crowd.come(f"s{number}", "a") for number in range(2)]
    for guest in sites:
        crowd.guests.prove(guest, "north")
    for number in range(3):
        crowd.come(f"stranger{number}", "a")
    assert crowd.ended == ["stranger0", "stranger1", "stranger2"]
    # Of one site there are so many; it cannot take the places of the others.
    third = crowd.come("s2", "a")
    assert third not in crowd.guests._proven["north"]


def test_a_site_has_a_bounded_number_of_proven_connections():
    crowd = Crowd(site_connections=2)
    for number in range(3):
        crowd.guests.prove(crowd.come(f"s{number}", "a"), "north")
    assert crowd.ended == ["s0"]
    assert crowd.guests._count == 2


def test_files_are_allowed_for_the_connections_that_are(monkeypatch):
    files = {"limit": (1024, 4096)}
    monkeypatch.setattr("resource.getrlimit", lambda _: files["limit"])
    monkeypatch.setattr("resource.setrlimit", lambda _, limit: files.update(limit=limit))
    assert with_files(Limits(connections=1000)).connections == 1000
    assert files["limit"] == (1256, 4096)
    files["limit"] = (512, 1024)
    assert with_files(Limits(connections=1000)).connections == 768
