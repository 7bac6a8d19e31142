"""`calyx doctor site`: what lies between a site and its server, found, with its cure."""

import email.utils
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from support.certificates import drop_identifiers, replace_authority, replace_server
from support.site_files import changed, site_values, write_site
from support.tls import served

from calyx.cli import doctor, keys
from calyx.fleet.gateway import Behind, make_gateway
from calyx.fleet.guard import Limits


def look(capsys, values):
    path = write_site(values)
    capsys.readouterr()
    code = doctor.main(["site", path])
    return code, " ".join(capsys.readouterr().out.split())


def test_our_own_gateway_is_sound_and_learns_nothing_of_the_site(federation, capsys):
    behind = Behind("127.0.0.1:9", federation / "keys" / "ca.crt", None)
    app = make_gateway(behind, federation / "audit.jsonl", Limits())
    seen = []

    async def watched(scope, receive, send):
        if scope["type"] == "http":
            seen.append(scope)
        await app(scope, receive, send)

    with served(watched, federation / "keys", says_date=True) as address:
        code, said = look(capsys, site_values(address))
    assert code == 0, said
    assert "answers, with a certificate of keys/ca.crt" in said
    assert "✓ clock" in said
    (request,) = seen
    assert (request["method"], request["path"]) == ("GET", "/")
    names = {name.decode() for name, _ in request["headers"]}
    assert names == {"host", "accept", "accept-encoding", "connection", "user-agent"}


def ended(folder):
    replace_server(folder / "keys", -20, -10)


def early(folder):
    replace_server(folder / "keys", 5, 10)


def soon(folder):
    replace_server(folder / "keys", -20, 10)


def other_host(folder):
    replace_server(folder / "keys", -20, 100, "gate.example")


def other_authority(folder):
    replace_server(folder / "keys", -20, 100)
    assert keys.main(["init", "--folder", "elsewhere", "--host", "x"]) == 0
    (folder / "trusted.crt").write_bytes((folder / "elsewhere" / "ca.crt").read_bytes())


def without_identifiers(folder):
    drop_identifiers(folder / "keys", "server.crt")


def ended_authority(folder):
    replace_authority(folder / "keys", -20, -10)
    (folder / "trusted.crt").write_bytes((folder / "keys" / "ca.crt").read_bytes())


def soon_ending_authority(folder):
    replace_authority(folder / "keys", -20, 10)
    (folder / "trusted.crt").write_bytes((folder / "keys" / "ca.crt").read_bytes())


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (ended, 1, "has a certificate that has ended → tell the operator"),
        (early, 1, "not valid yet → set this machine's clock"),
        (soon, 0, "the server's ends in 10 days"),
        (other_host, 1, "not for 127.0.0.1 → ask the operator for `calyx keys renew --host"),
        (other_authority, 1, "was not signed by trusted.crt → compare ca.crt"),
        (without_identifiers, 1, "ask the operator for `calyx keys renew`, and for the new ca.crt"),
        (ended_authority, 1, "trusted.crt has ended → get a new ca.crt"),
        (soon_ending_authority, 0, "its authority's in 10 → ask the operator for a new ca.crt"),
    ],
)
def test_what_is_wrong_with_the_servers_certificate_is_found(
    federation, capsys, damage, code, words
):
    damage(federation)
    authority = "trusted.crt" if (federation / "trusted.crt").exists() else "keys/ca.crt"
    with served(Starlette(), federation / "keys", says_date=True) as address:
        found, said = look(capsys, changed(site_values(address), authority=authority))
    assert words in said
    assert found == code, said
    assert "_ssl.c" not in said


@contextmanager
def listening(answer=b""):
    """A port that speaks no TLS: says `answer` and hangs up, or says nothing at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve():
            one, _ = listener.accept()
            with one:
                one.recv(65536)
                one.sendall(answer)

        if answer:
            threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_port_without_tls_is_found(federation, capsys):
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        code, said = look(capsys, site_values(address))
    assert f"{address} does not speak TLS as a gateway does" in said
    assert code == 1


def test_a_port_that_says_nothing_is_given_up(federation, capsys, monkeypatch):
    monkeypatch.setattr("calyx.cli.doctor_reach.ANSWER_S", 0.2)
    with listening() as address:
        code, said = look(capsys, site_values(address))
    assert f"{address} does not answer within" in said
    assert "firewall" in said
    assert code == 1


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:9", "refuses connections → is it running"),
        ("no-such-host.invalid:1", "see DNS"),
        ("gate example", "is no HOST:PORT"),
        ("gate.example", "is no HOST:PORT"),
        ("gate.example:", "is no HOST:PORT"),
        ("gate.example:0", "is no HOST:PORT"),
        ("gate.example:99999", "is no HOST:PORT"),
        ("https://gate.example:9443", "is no HOST:PORT"),
        ("gate..example:9443", "is no HOST:PORT"),
        ("x" * 70 + ":9443", "is no HOST:PORT"),
        ("user@gate.example:9443", "is no HOST:PORT"),
    ],
)
def test_an_address_where_nobody_answers_is_found(federation, capsys, address, words):
    code, said = look(capsys, site_values(address))
    assert words in said
    assert code == 1
    assert "1 problem(s)" in said


def answering(status=404, **headers):
    async def answer(request):
        return Response(status_code=status, headers=headers)

    return Starlette(routes=[Route("/", answer)])


@pytest.mark.parametrize(("seconds", "code"), [(5, 0), (-60, 0), (1000, 1), (-1000, 1)])
def test_a_clock_that_is_wrong_is_found(federation, capsys, seconds, code):
    date = email.utils.formatdate(time.time() - seconds, usegmt=True)
    with served(answering(date=date), federation / "keys") as address:
        found, said = look(capsys, site_values(address))
    assert ("set it by NTP" in said) is (abs(seconds) > 30)
    assert ("ahead of" in said) is (seconds > 0)
    assert found == code


@pytest.mark.parametrize(
    ("app", "code", "words"),
    [
        (answering(), 0, "does not say what time it is"),
        (answering(status=200), 0, "answers 200 to GET /"),
        (answering(**{"content-encoding": "gzip"}), 1, "compressed"),
    ],
)
def test_a_server_that_is_no_gateway_is_found(federation, capsys, app, code, words):
    with served(app, federation / "keys") as address:
        found, said = look(capsys, site_values(address))
    assert words in said
    assert found == code


@contextmanager
def a_proxy(answer=None):
    """An HTTP proxy that opens tunnels to where it is told (or says `answer`); it, and its tunnels."""
    tunnels = []

    def pass_on(there, back):
        with suppress(OSError):
            while data := there.recv(65536):
                back.sendall(data)
            back.shutdown(socket.SHUT_WR)

    def serve(one):
        head = b""
        while b"\r\n\r\n" not in head:
            head += one.recv(65536)
        if answer is not None:
            one.sendall(answer)
            one.close()
            return
        tunnels.append(head.split()[1].decode())
        there = socket.create_connection(("127.0.0.1", int(tunnels[-1].rpartition(":")[2])))
        one.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=pass_on, args=(there, one), daemon=True).start()
        pass_on(one, there)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://bob:secret@127.0.0.1:{listener.getsockname()[1]}", tunnels
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def through(monkeypatch):
    """Set one variable of a proxy, and no other."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return monkeypatch.setenv


def test_a_proxy_between_a_site_and_its_server_is_named_and_used(federation, capsys, through):
    replace_server(federation / "keys", -20, 100, "gate.example")
    with (
        served(Starlette(), federation / "keys", says_date=True) as address,
        a_proxy() as (url, seen),
    ):
        gate = f"gate.example:{address.rpartition(':')[2]}"
        through("HTTPS_PROXY", url)
        # A company's own list of whom it trusts has no part in it.
        through("SSL_CERT_FILE", "nowhere.pem")
        through("REQUESTS_CA_BUNDLE", "nowhere.pem")
        through("CURL_CA_BUNDLE", "nowhere.pem")
        code, said = look(capsys, site_values(gate))
    assert code == 0, said
    assert f"the proxy {url.replace('bob:secret@', '')} (from HTTPS_PROXY) stands between" in said
    assert f"{gate} answers, with a certificate of keys/ca.crt" in said
    assert seen == [gate]
    assert "secret" not in said


GATE = "gate.example:9443"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HTTPS_PROXY", "127.0.0.1:9", "(from HTTPS_PROXY) cannot be reached (Connection refused)"),
        ("all_proxy", FORBIDDEN, f"answers '403 Forbidden' to a call to {GATE} → ask whoever"),
        ("https_proxy", b"what?\r\n\r\n", "nothing comes through the proxy http://127.0.0.1:"),
        ("ALL_PROXY", "socks5://127.0.0.1:1080", "ALL_PROXY names socks5://127.0.0.1:1080, and"),
    ],
)
def test_what_a_proxy_does_is_not_told_as_the_servers_doing(
    federation, capsys, through, variable, value, words
):
    with a_proxy(value if isinstance(value, bytes) else b"") as (url, _):
        through(variable, url if isinstance(value, bytes) else value)
        code, said = look(capsys, site_values(GATE))
    assert words in said
    assert code == 1
    assert "✓ packages" in said  # the other looks are there too
    assert "refuses connections" not in said
