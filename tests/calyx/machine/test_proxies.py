"""Proxies of the environment: this machine is never called through one, and a server's is told."""

import os

import httpx
import pytest

from calyx.errors import UserError
from calyx.machine.proxies import past_proxies, proxy_for

GATE = "gateway.example.org:9443"
DEAD = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128 (from HTTPS_PROXY)"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128 (from https_proxy)"),
        ({"ALL_PROXY": "http://proxy:3128/"}, "http://proxy:3128 (from ALL_PROXY)"),
        ({"HTTPS_PROXY": "http://bob:secret@proxy:3128"}, "http://proxy:3128 (from HTTPS_PROXY)"),
        # Of another scheme; an own one comes first; the small spelling counts, even where it is empty.
        ({"http_proxy": "http://proxy:3128"}, None),
        (
            {"all_proxy": "socks5://s:1", "https_proxy": "http://p:1"},
            "http://p:1 (from https_proxy)",
        ),
        ({"HTTPS_PROXY": "http://big:1", "https_proxy": ""}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "example.org"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.b, .example.org"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": f"{GATE}"}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "gateway.example.org:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "ample.org,10.0.0.0/8"}, "http://p:1"),
        ({"all_proxy": "socks5://s:1", "no_proxy": "gateway.example.org"}, None),
    ],
)
def test_the_proxy_of_a_site_is_the_one_that_other_programs_take(environment, shown):
    found = proxy_for(GATE, environment)
    assert (found is None) is (shown is None)
    assert shown is None or shown in str(found)
    assert "secret" not in f"{found!r}{found}"


@pytest.mark.parametrize(
    "net", ["10.1.2.3", "10.0.0.0/8", "10.1.2.0/24", "fe80::/10,10.1.2.3:9443", "*"]
)
def test_a_net_in_no_proxy_excepts_its_addresses(net):
    assert proxy_for("10.1.2.3:9443", {"https_proxy": "http://p:1", "no_proxy": net}) is None
    other = proxy_for("11.1.2.3:9443", {"https_proxy": "http://p:1", "no_proxy": net})
    assert (other is None) is (net == "*")


@pytest.mark.parametrize(
    "server", ["localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "a.localhost:1"]
)
def test_this_machine_is_never_called_through_a_proxy(server):
    assert proxy_for(server, {"https_proxy": DEAD, "no_proxy": "company.example"}) is None
    assert proxy_for(server, {"all_proxy": "socks5://127.0.0.1:1080"}) is None


@pytest.mark.parametrize(
    "value",
    [
        "socks5://127.0.0.1:1080",
        "socks5h://bob:secret@s:1",
        "https://proxy:3128",
        "http://",
        "p:abc",
    ],
)
def test_a_proxy_that_cannot_be_spoken_to_is_one_sentence_that_names_its_variable(value):
    with pytest.raises(UserError, match="ALL_PROXY names ") as caught:
        proxy_for(GATE, {"ALL_PROXY": value})
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "environment",
    [
        {"http_proxy": DEAD, "https_proxy": DEAD},
        {"HTTP_PROXY": DEAD, "HTTPS_PROXY": "127.0.0.1:9", "no_proxy": "company.example"},
        {"ALL_PROXY": "socks5://127.0.0.1:1080"},
        {"all_proxy": "http://", "https_proxy": "p:abc", "NO_PROXY": "http://[,fe80::/10, a b"},
    ],
)
def test_a_program_that_reads_the_environment_calls_this_machine_directly(monkeypatch, environment):
    """httpx, which Flower calls by, is such a program."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in past_proxies(environment).items():
        monkeypatch.setenv(name, value)
    with httpx.Client() as client:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            assert client._transport_for_url(httpx.URL(f"https://{host}:1")) is client._transport


def test_what_is_no_proxy_stays_in_an_environment_and_nothing_is_added_without_one():
    plain = {"HOME": "/h", "PATH": "/p"}
    assert past_proxies(plain) == plain
    given = plain | {"https_proxy": "http://p:1", "no_proxy": "company.example"}
    made = past_proxies(given)
    assert made["https_proxy"] == "http://p:1"
    assert made["no_proxy"] == made["NO_PROXY"] == "127.0.0.1,localhost,::1,company.example"
