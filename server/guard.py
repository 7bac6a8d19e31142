"""What the gateway knows of those who knock: how often, with what signatures, with how many bytes."""

import itertools
import json
import logging
import time
from base64 import b64decode
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

MAX_BODY_BYTES = 16 * 2**20  # Flower's own chunks have 5 MiB
BELIEVED_S = 330.0  # that Flower believes a signature, with the clocks' tolerance
MAX_SEEN = 500_000
_REMEMBERED = 16  # messages of a site; several runs have five stages each


@dataclass(frozen=True)
class Limits:
    """What one address, one site and all of them together may ask for."""

    requests_per_s: float = 200.0
    burst: int = 2000
    refused_cost: int = 10  # requests that one counts for which was refused
    max_body_bytes: int = MAX_BODY_BYTES  # of an object; all else is small
    call_bytes: int = 2**20  # of any other call of a site
    stranger_body_bytes: int = 2**16  # of who has not proved that he is a site
    site_bytes: int = 128 * 2**20  # of all bodies of a site that are being read or passed on
    answer_bytes: int = 16 * 2**20  # that a site may push for an order at least
    total_bytes: int = 2**30
    body_s: float = 120.0  # for reading a body
    connections: int = 1000
    address_connections: int = 200  # of one address
    handshake_s: float = 10.0  # for TLS
    head_s: float = 20.0  # for the head of a request, and between two requests
    head_bytes: int = 2**16
    audit_bytes: int = 64 * 2**20  # of an audit file, and seven older ones are kept


class Buckets:
    """A token bucket an address; addresses that were quiet are forgotten."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left: dict[str, tuple[float, float]] = {}  # address → (tokens, when)

    def allow(self, address: str, now: float) -> bool:
        """Whether one more request of this address is within its rate."""
        rate, burst = self._limits.requests_per_s, float(self._limits.burst)
        tokens, before = self._left.get(address, (burst, now))
        tokens = min(burst, tokens + (now - before) * rate)
        if len(self._left) > 10_000:
            self._left = {a: t for a, t in self._left.items() if now - t[1] < burst / rate}
        self._left[address] = (max(0.0, tokens - 1), now)
        return tokens >= 1

    def charge(self, address: str) -> None:
        """A request of this address was refused: it counts for several."""
        if address in self._left:
            tokens, when = self._left[address]
            self._left[address] = (max(0.0, tokens - self._limits.refused_cost + 1), when)


class Replays:
    """Signatures that a SuperLink has believed once; a node signs each request anew.

    Flower's node authentication signs a time and not the body, and believes it for five minutes:
    whoever has seen a request could otherwise send it, or another one, again. An ECDSA signature
    (r, s) has a second form (r, n - s), and base64 and DER have several: r alone is remembered.
    """

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}

    def is_one(self, signature: str) -> bool:
        """Whether this signature was believed before."""
        return _nonce(signature) in self._seen

    def note(self, signature: str, now: float) -> None:
        """It was believed; those of more than BELIEVED_S ago are forgotten."""
        nonce = _nonce(signature)
        if nonce is not None:
            self._seen[nonce] = now
        for old, then in list(itertools.islice(self._seen.items(), 8)):
            if now - then > BELIEVED_S or len(self._seen) > MAX_SEEN:
                del self._seen[old]


def _nonce(signature: str) -> int | None:
    try:
        return decode_dss_signature(b64decode(signature))[0]
    except ValueError:
        return None


class Held:
    """Bytes of bodies in memory, by who sends them; `known` are the sites that were believed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: dict[tuple[str, str], int] = {}
        self.known: set[str] = set()

    @contextmanager
    def of(self, sender: tuple[str, str], size: int) -> Iterator[bool]:
        """Count `size` bytes inside the block; whether there is room for them.

        `sender` is a proven site ("" for anybody else) and an address: a name alone proves nothing.
        """
        mine, total = self._held.get(sender, 0) + size, sum(self._held.values()) + size
        if mine > self._limits.site_bytes or total > self._limits.total_bytes:
            yield False
            return
        self._held[sender] = mine
        try:
            yield True
        finally:
            self._held[sender] -= size
            if not self._held[sender]:
                del self._held[sender]


class Quota:
    """What sites push for an order: at most twice what went down to them with one of the last.

    A masked vector is as large as the weights, which came with an earlier stage's message.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._down: dict[str, deque[int]] = {}  # site → bytes of its last messages, newest last
        self._up: dict[str, int] = {}  # site → bytes since the last message

    def note_message(self, site: str) -> None:
        """A message was given to a site: what it pushes now is for this one."""
        self._down.setdefault(site, deque(maxlen=_REMEMBERED)).append(0)
        self._up[site] = 0

    def note_down(self, site: str, size: int) -> None:
        """A part of the last message went down."""
        if self._down.get(site):
            self._down[site][-1] += size

    def allow_up(self, site: str, size: int) -> bool:
        """Whether so many bytes more may come up; they are counted."""
        most = max(self._limits.answer_bytes, 2 * max(self._down.get(site, ()), default=0))
        up = self._up.get(site, 0) + size
        self._up[site] = min(up, most + 1)
        return up <= most


class Audit:
    """One line a request in a file that is renamed when it is full; refusals by rate are counted."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._file = RotatingFileHandler(
            path, maxBytes=limits.audit_bytes, backupCount=7, encoding="utf-8"
        )
        self._refused: dict[str, int] = {}  # address → refusals by rate since its last line

    def write(self, address: str, row: dict[str, Any]) -> None:
        """Write a line; of refusals by rate the 1st, 10th, 100th … in a row of an address."""
        line: dict[str, Any] = {"time": time.time(), "address": address} | row
        if row["status"] == 429:
            if len(self._refused) > 10_000:
                self._refused.clear()
            count = self._refused[address] = self._refused.get(address, 0) + 1
            if str(count).strip("0") != "1":
                return
            line["refused"] = count
        else:
            self._refused.pop(address, None)
        text = json.dumps(line)
        self._file.emit(logging.LogRecord("audit", logging.INFO, "", 0, text, (), None))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
