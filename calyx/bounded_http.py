"""An HTTPS client that a hostile server can neither lead elsewhere nor fill: for sites."""

import email.utils
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from calyx.errors import CalyxError, UserError

MAX_ANSWER_BYTES = 16 * 2**20  # Flower's own chunks have 5 MiB
TIMEOUT_S = 30.0


def bounded_client(authority: Path) -> httpx.Client:
    """Trusts `authority` only, follows no redirect, reads no answer above MAX_ANSWER_BYTES.

    Raises UserError where the certificate cannot be read. Requests raise CalyxError for an answer
    that is too long or compressed.
    """
    try:
        trusted = ssl.create_default_context(cafile=str(authority))
    except (OSError, ssl.SSLError):
        raise UserError(f"{authority} is no certificate that can be read.") from None
    return httpx.Client(
        verify=trusted,
        timeout=TIMEOUT_S,
        follow_redirects=False,
        headers={"accept-encoding": "identity"},
        event_hooks={"response": [_bound]},
    )


class _Bounded(httpx.SyncByteStream):
    """A body that ends with an error where it is too long."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - httpx's own stream
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for part in self._inner:
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise CalyxError(f"The server's answer has more than {MAX_ANSWER_BYTES} bytes.")
            yield part

    def close(self) -> None:
        self._inner.close()


def _bound(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise CalyxError("The server's answer is compressed, which nobody asked for.")
    response.stream = _Bounded(response.stream)


def is_distrust(error: httpx.HTTPError) -> bool:
    """Whether a connection failed because of the server's certificate."""
    return "certificate" in str(error).lower()


def in_words(error: httpx.HTTPError) -> str:
    """Why a connection failed, in some words."""
    return str(error).rstrip(".") or type(error).__name__


def seconds_ahead(response: httpx.Response) -> float:
    """How far this machine's clock is ahead of the server's; 0.0 where the server does not say."""
    with suppress(ValueError, TypeError):
        there = email.utils.parsedate_to_datetime(response.headers.get("date", ""))
        return time.time() - there.timestamp()
    return 0.0
