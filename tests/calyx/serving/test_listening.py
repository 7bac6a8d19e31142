"""Over real TLS: a caller is answered while strangers are slow, many, or speak no HTTP."""

import contextlib
import gc
import os
import socket
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from support.certificates import make_client

from calyx.errors import ConfigError, UserError
from calyx.serving.access_config import LimitsConfig, TlsConfig
from calyx.serving.bodies import read_body
from calyx.serving.listening import BoundedServer
from calyx.serving.refusals import Refused
from calyx.serving.tls import Certificates, check_exposure
from calyx.trust.authority import make_server

LIMITS = LimitsConfig(connections=64)
BRISK = replace(LIMITS, head_s=0.5, body_s=0.5, answer_s=0.5, idle_s=0.5)


async def answer(request):
    """Callers say so in a header; of others no body is read, as of the gateway."""
    if "authorization" not in request.headers:
        return Response(b"who?", 401)
    request.scope["state"]["prove"](request.headers["authorization"])
    if request.url.path == "/large":
        return Response(bytes(2**24))
    try:
        return Response(b"%d bytes" % len(await read_body(request, 2**20)))
    except Refused as refused:
        return Response(refused.title, refused.status)


@contextlib.contextmanager
def serving(folder: Path, limits: LimitsConfig = LIMITS, clients: str | None = None):
    """`limits` are those of all that comes after a handshake."""
    tls = TlsConfig(
        certificate=str(folder / "server.crt"), key=str(folder / "server.key"), clients=clients
    )
    config = uvicorn.Config(
        Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])]),
        log_level="critical",
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = BoundedServer(config, LIMITS, Certificates(tls))
    server.limits = limits
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.setblocking(False)
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    trusted = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    yield SimpleNamespace(folder=folder, port=port, trusted=trusted)
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make_server(folder, ["127.0.0.1"])
    return folder


@pytest.fixture(scope="module")
def gateway(folder):
    with serving(folder) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def brisk(folder):
    with serving(folder, BRISK) as gateway:
        yield gateway


def caller(gateway, context=None):
    return httpx.Client(
        verify=context or gateway.trusted,
        base_url=f"https://127.0.0.1:{gateway.port}",
        headers={"authorization": "ward"},
    )


def is_answered(gateway, context=None):
    with caller(gateway, context) as client:
        return client.post("/", content=b"abc").text == "3 bytes"


def connect(gateway):
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=20)


def speak(gateway, *texts, pause_s=0.0):
    """All that is answered to these bytes, until the gateway ends the connection."""
    with gateway.trusted.wrap_socket(connect(gateway), server_hostname="127.0.0.1") as connection:
        said = b""
        with contextlib.suppress(OSError):
            for text in texts:
                connection.sendall(text)
                time.sleep(pause_s)
            while part := connection.recv(2**16):
                said += part
        return said


HELLO = b"POST / HTTP/1.1\r\nhost: x\r\nauthorization: ward\r\n"
SLOW = {
    "no request": (),
    "half a head": (b"POST / HTTP/1.1\r\nhost:",),
    "a head that drips": (b"POST / HTTP/1.1\r\n", *[b"a: b\r\n"] * 40),
    "empty lines": (b"\r\n",) * 40,
    "no body": (HELLO + b"content-length: 100\r\n\r\n",),
    "a body that drips": (HELLO + b"content-length: 100\r\n\r\n", *[b"x"] * 40),
    "chunks that drip": (HELLO + b"transfer-encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 40),
    "a body after its refusal": (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n",
        *[b"x"] * 40,
    ),
}


@pytest.mark.parametrize("texts", SLOW.values(), ids=SLOW)
def test_who_does_not_come_to_an_end_is_cut_off_in_every_phase(brisk, texts):
    started = time.monotonic()
    speak(brisk, *texts, pause_s=0.05)
    assert time.monotonic() - started < 10


def test_who_does_not_read_his_answer_is_cut_off(brisk):
    with brisk.trusted.wrap_socket(connect(brisk), server_hostname="127.0.0.1") as connection:
        connection.sendall(HELLO.replace(b"POST /", b"GET /large") + b"\r\n")
        time.sleep(1.5)
        with contextlib.suppress(OSError):
            size = sum(iter(lambda: len(connection.recv(2**16)), 0))
            assert size < 2**24


TOO_MUCH = {
    "lines": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n",
    "bytes": b"GET / HTTP/1.1\r\nx: " + b"a" * 2**15 + b"\r\n\r\n",
    "no end": b"GET / HTTP/1.1\r\nx: " + b"a" * 2**15,
    "no end of a name": b"GET / HTTP/1.1\r\n" + b"a" * 2**15,
    "an address": b"GET /" + b"a" * 2**15,
    "a query": b"GET /?" + b"a" * 2**15 + b" HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("text", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_head_is_bounded(gateway, text):
    assert speak(gateway, text).startswith(b"HTTP/1.1 431 ")


BODY = b"content-length: 3\r\n"
SMUGGLED = {
    "both lengths": HELLO + BODY + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, the other way": HELLO + b"transfer-encoding: chunked\r\n" + BODY + b"\r\n0\r\n\r\n",
    "two lengths": HELLO + BODY + b"content-length: 4\r\n\r\nabcd",
    "a signed length": HELLO + b"content-length: +3\r\n\r\nabc",
    "a negative length": HELLO + b"content-length: -3\r\n\r\nabc",
    "lengths in a list": HELLO + b"content-length: 3, 3\r\n\r\nabc",
    "a huge length": HELLO + b"content-length: 99999999999999999999\r\n\r\nabc",
    "an unknown coding": HELLO + b"transfer-encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunked and then another": HELLO + b"transfer-encoding: chunked, identity\r\n\r\n3\r\nabc\r\n",
    "a space before the colon": HELLO + b"content-length : 3\r\n\r\nabc",
    "a folded header": HELLO + b"x: a\r\n b\r\n" + BODY + b"\r\nabc",
    "a null in a header": HELLO + b"x: a\0b\r\n" + BODY + b"\r\nabc",
    "a bare return": HELLO + b"x: a\rb: c\r\n" + BODY + b"\r\nabc",
    "a chunk of no number": HELLO + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
    "a chunk of a huge number": HELLO + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "HTTP/0.9": HELLO.replace(b"1.1", b"0.9") + BODY + b"\r\nabc",
}


@pytest.mark.parametrize("text", SMUGGLED.values(), ids=SMUGGLED)
def test_a_request_that_two_servers_may_read_otherwise_is_refused(gateway, text):
    said = speak(gateway, text + FOLLOWER)
    assert said.count(b"HTTP/1.1 200") == 0
    assert said.count(b"HTTP/1.1") <= 1


FOLLOWER = b"GET /smuggled HTTP/1.1\r\nhost: x\r\nauthorization: ward\r\n\r\n"


def test_the_body_of_a_request_for_another_protocol_is_not_taken_for_a_request(gateway):
    length = b"content-length: %d\r\n\r\n" % len(FOLLOWER)
    upgrade = HELLO + b"connection: upgrade\r\nupgrade: h2c\r\n" + length
    said = speak(gateway, upgrade, FOLLOWER, pause_s=0.3)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.endswith(b"No upgrade")


def test_a_trailer_is_no_header(gateway):
    stranger = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    said = speak(gateway, stranger + b"3\r\nabc\r\n0\r\nauthorization: ward\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 401 ")


def test_requests_before_the_first_is_answered_are_cut_off(gateway):
    one = HELLO + b"content-length: 0\r\n\r\n"
    assert speak(gateway, one * 500).count(b"HTTP/1.1 200") <= 1
    assert is_answered(gateway)


def test_many_requests_of_one_connection_are_answered_in_turn(gateway):
    with caller(gateway) as client:
        assert {client.post("/", content=b"a" * n).text for n in (0, 1, 2)} == {
            "0 bytes",
            "1 bytes",
            "2 bytes",
        }
        assert client.post("/", content=iter([b"ab", b"c"])).text == "3 bytes"  # in chunks


def resident_bytes():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("is_caller", [True, False])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_body_of_a_gigabyte_is_refused_and_never_held(gateway, is_caller, is_chunked):
    block = b"%x\r\n" % 2**20 + bytes(2**20) + b"\r\n" if is_chunked else bytes(2**20)
    how = b"transfer-encoding: chunked" if is_chunked else b"content-length: 1073741824"
    head = (HELLO if is_caller else b"POST / HTTP/1.1\r\nhost: x\r\n") + how + b"\r\n\r\n"
    before = resident_bytes()
    with gateway.trusted.wrap_socket(connect(gateway), server_hostname="127.0.0.1") as connection:
        connection.sendall(head)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 1024:
                connection.sendall(block)
                sent += 1
    assert sent < 1024
    assert resident_bytes() - before < 2**25
    assert is_answered(gateway)


def test_silent_crowds_leave_room_for_a_caller_and_end(gateway):
    """Of 64 connections a caller keeps his, though strangers of his own address come without end."""
    with caller(gateway) as client:
        assert client.post("/", content=b"abc").text == "3 bytes"
        crowd = [connect(gateway) for _ in range(200)]
        assert client.post("/", content=b"abc").text == "3 bytes"
        assert is_answered(gateway)  # also as a new connection
        for one in crowd:
            one.close()


def test_only_tls_of_now_is_spoken(gateway):
    old = ssl.create_default_context(cafile=str(gateway.folder / "ca.crt"))
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(connect(gateway), server_hostname="127.0.0.1")
    weak = ssl.create_default_context(cafile=str(gateway.folder / "ca.crt"))
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA256:AES256-GCM-SHA384")  # no forward secrecy
    with pytest.raises((ssl.SSLError, ConnectionError)):
        weak.wrap_socket(connect(gateway), server_hostname="127.0.0.1")


def test_a_callers_certificate_must_be_of_the_named_authority_and_of_today(folder, tmp_path):
    other = tmp_path / "other"
    make_server(other, ["127.0.0.1"])
    with serving(folder, clients=str(folder / "ca.crt")) as gateway:

        def answered_with(authority, days=(-1, 1)):
            context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
            if authority is not None:
                context.load_cert_chain(*make_client(tmp_path, authority, days))
            try:
                return is_answered(gateway, context)
            except httpx.TransportError:
                return False

        assert answered_with(folder)
        assert not answered_with(None)
        assert not answered_with(other)
        assert not answered_with(folder, days=(-3, -1))
        assert not answered_with(folder, days=(1, 3))
        assert answered_with(folder)


def test_a_renewed_certificate_is_shown_to_the_next_connection(folder, tmp_path):
    for name in ("server.crt", "server.key", "ca.crt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "server.key").chmod(0o600)
    with serving(tmp_path) as gateway:
        new = tmp_path / "new"
        make_server(new, ["127.0.0.1"])
        (tmp_path / "server.crt").write_bytes((new / "server.crt").read_bytes())
        time.sleep(0.3)
        assert is_answered(gateway)  # a certificate without its key: the last pair is in force
        (new / "server.key").replace(tmp_path / "server.key")
        time.sleep(0.3)
        assert is_answered(gateway, ssl.create_default_context(cafile=str(new / "ca.crt")))


def test_files_that_are_no_certificate_and_key_are_a_sentence(folder, tmp_path):
    good = TlsConfig(certificate=str(folder / "server.crt"), key=str(folder / "server.key"))
    (tmp_path / "wide.key").write_bytes((folder / "server.key").read_bytes())
    (tmp_path / "wide.key").chmod(0o644)
    (tmp_path / "empty").touch(0o600)
    for changed in (
        {"certificate": str(folder / "ca.crt")},
        {"certificate": str(tmp_path / "none")},
        {"key": str(tmp_path / "wide.key")},
        {"key": str(tmp_path / "empty")},
        {"clients": str(tmp_path / "empty")},
        {"clients": str(folder / "server.key")},
    ):
        with pytest.raises(UserError):
            Certificates(replace(good, **changed))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1"])
def test_an_address_that_others_reach_needs_tls(host):
    with pytest.raises(ConfigError, match="without TLS"):
        check_exposure(host, None)
    check_exposure(host, TlsConfig(certificate="a", key="b"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_none(host):
    check_exposure(host, None)
