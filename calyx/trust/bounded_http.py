"""An HTTPS client that a hostile server can neither lead elsewhere nor fill: for sites."""

import email.utils
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from calyx.errors import CalyxError, UserError, printable
from calyx.machine.proxies import Proxy
from calyx.trust.certificates import has_identifier

MAX_ANSWER_BYTES = 16 * 2**20  # Flower's own chunks have 5 MiB
TIMEOUT_S = 30.0
SLOWEST_BYTES_S = 2**14  # that an answer must come with, after TIMEOUT_S


def bounded_client(authority: Path, proxy: Proxy | None) -> httpx.Client:
    """Trusts `authority` only, follows no redirect, reads no answer above MAX_ANSWER_BYTES or
    below SLOWEST_BYTES_S, and goes through `proxy`, whatever the environment says of either.

    Raises UserError where the certificate cannot be read. Requests raise CalyxError for an answer
    that is too long or compressed.
    """
    try:
        trusted = ssl.create_default_context(cafile=str(authority))
    except (OSError, ssl.SSLError):
        raise UserError(f"{authority} is no certificate that can be read.") from None
    if has_identifier(authority):  # those of before are taken as this Python's default takes them
        trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    return httpx.Client(
        verify=trusted,
        proxy=proxy.address if proxy else None,
        trust_env=False,
        timeout=TIMEOUT_S,
        follow_redirects=False,
        headers={"accept-encoding": "identity"},
        event_hooks={"response": [_bound]},
    )


class _Bounded(httpx.SyncByteStream):
    """A body that ends with an error where it is too long, or drips."""

    def __init__(self, inner: Any, patience_s: float) -> None:  # noqa: ANN401 - httpx's own stream
        self._inner, self._patience_s = inner, patience_s

    def __iter__(self) -> Iterator[bytes]:
        size, started = 0, time.monotonic()
        for part in self._inner:
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise CalyxError(f"The server's answer has more than {MAX_ANSWER_BYTES} bytes.")
            if time.monotonic() - started > self._patience_s + size / SLOWEST_BYTES_S:
                raise httpx.ReadTimeout("its answer comes too slowly")
            yield part

    def close(self) -> None:
        self._inner.close()


def _bound(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise CalyxError("The server's answer is compressed, which nobody asked for.")
    patience_s = response.request.extensions.get("timeout", {}).get("read") or TIMEOUT_S
    response.stream = _Bounded(response.stream, patience_s)


def is_address(text: str) -> bool:
    """Whether this is HOST:PORT."""
    host, _, port = text.rpartition(":")
    try:
        host.encode("idna")  # as the system's resolver does
    except UnicodeError:
        return False
    is_port = port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535
    return is_port and host != "" and not set(host) & set("/ @?#")


def is_distrust(error: httpx.HTTPError) -> bool:
    """Whether a connection failed because of the server's certificate."""
    return "certificate" in str(error).lower()


def root_of(error: BaseException) -> BaseException:
    """The system's own error below those that wrap it."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error


def in_words(error: httpx.HTTPError) -> str:
    """Why a connection failed, in some words."""
    return str(error).rstrip(".") or type(error).__name__


def blame(error: httpx.HTTPError, server: str, proxy: Proxy | None) -> str | None:
    """How a proxy has failed, as a clause; None where there is none, or the server's is the fault."""
    if proxy is None or isinstance(root_of(error), ssl.SSLError):
        return None
    if isinstance(error, httpx.ProxyError):
        return f"{proxy} answers {printable(in_words(error), 80)!r} to a call to {server}"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):  # of the proxy's own port
        return f"{proxy} cannot be reached ({getattr(root_of(error), 'strerror', None) or in_words(error)})"
    return f"nothing comes through {proxy} ({in_words(error)})"


def seconds_ahead(response: httpx.Response) -> float:
    """How far this machine's clock is ahead of the server's; 0.0 where the server does not say."""
    with suppress(ValueError, TypeError):
        there = email.utils.parsedate_to_datetime(response.headers.get("date", ""))
        return time.time() - there.timestamp()
    return 0.0
