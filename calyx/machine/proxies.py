"""Proxies that the environment names: which calls go through one, and which never do.

Calls to this machine itself never do. A site's calls do where HTTPS_PROXY or ALL_PROXY says so and
NO_PROXY does not except its server. Nothing else of the environment has a part in a call: whom a
site trusts is in its own file.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from calyx.errors import UserError, printable

HERE = ("127.0.0.1", "localhost", "::1")
_PLAIN_EXCEPTION = re.compile(r"[\w.*-]+(:\d{1,5})?")  # of NO_PROXY, that every program can read


@dataclass(frozen=True)
class Proxy:
    """A proxy that stands between this machine and a server."""

    variable: str  # of the environment, as it is written there
    shown: str  # its address without a password
    address: httpx.Proxy = field(repr=False)

    def __str__(self) -> str:
        """The address for a sentence, without a password."""
        return f"the proxy {self.shown} (from {self.variable})"


def proxy_for(server: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy through which HTTPS calls to `server`, HOST:PORT, go; None where they go directly.

    Raises UserError for one that Calyx cannot speak to.
    """
    host, _, port = server.rpartition(":")
    host = host.strip("[]").lower()
    named = _find_variable(environment, "https") or _find_variable(environment, "all")
    if named is None or is_here(host) or _is_excepted(host, port, environment):
        return None
    variable, value = named
    address = _address(value)
    if address is None:
        raise UserError(
            f"{variable} names {_hide_password(value)}, and Calyx goes through proxies of the form "
            f"http://HOST:PORT only; set https_proxy to such a one, or add {host} to no_proxy, which "
            "makes calls to it direct."
        )
    return Proxy(variable, _hide_password(str(address.url)), address)


def is_here(host: str) -> bool:
    """Whether this host is this machine by its name or its loopback address."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    number = _ip(host)
    return number is not None and (number.is_loopback or number.is_unspecified)


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for other programs, whose calls to this machine then go past every proxy.

    Proxies that many programs end at (SOCKS, misspelt ones) are left out of it.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not _is_proxy(name) or _address(value) is not None
    }
    exempt = list(_exceptions(environment))
    if not exempt and not any(map(_is_proxy, kept)):
        return kept
    exceptions = [one for one in exempt if _PLAIN_EXCEPTION.fullmatch(one)]
    words = ",".join(dict.fromkeys([*HERE, *exceptions]))
    # Whoever knows one of the two spellings looks at that.
    return kept | {"no_proxy": words, "NO_PROXY": words}


def _is_proxy(name: str) -> bool:
    return name.lower() in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")


def _find_variable(environment: Mapping[str, str], scheme: str) -> tuple[str, str] | None:
    """Variable and value; the small spelling wins, also where it is empty, as in other programs."""
    for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
        if name in environment:
            value = environment[name].strip()
            return (name, value) if value else None
    return None


def _address(value: str) -> httpx.Proxy | None:
    """The address of a proxy; None of one that is not spoken to by plain HTTP."""
    text = value.strip()
    try:
        proxy = httpx.Proxy(text if "://" in text else f"http://{text}")
    except (ValueError, httpx.InvalidURL):
        return None
    return proxy if proxy.url.scheme == "http" and proxy.url.host else None


def _hide_password(value: str) -> str:
    """A proxy's address for a terminal: nobody's password."""
    scheme, colon, rest = value.rpartition("://")
    return printable(f"{scheme}{colon}{rest.rpartition('@')[2].partition('/')[0]}", 200)


def _exceptions(environment: Mapping[str, str]) -> Iterator[str]:
    words = environment.get("no_proxy", environment.get("NO_PROXY", ""))
    return (word for word in re.split(r"[\s,]+", words) if word)


def _is_excepted(host: str, port: str, environment: Mapping[str, str]) -> bool:
    """Whether NO_PROXY names it: a host or a domain, an address or a net (10.0.0.0/8), or `*`."""
    number = _ip(host)
    for word in _exceptions(environment):
        if word == "*":
            return True
        name, _, only = (
            word.lower().rpartition(":") if word.count(":") == 1 else (word.lower(), "", "")
        )
        if only and only != port:
            continue
        if number is not None:
            if number in _net(name):
                return True
        elif host == (domain := name.lstrip("*.")) or host.endswith(f".{domain}"):
            return True
    return False


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _net(
    text: str,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network | tuple[()]:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return ()
