"""What the gateway keeps of those who knock: how often they come, and how many bytes they hold."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

MAX_BODY_BYTES = 16 * 2**20  # Flower's own chunks have 5 MiB


@dataclass(frozen=True)
class Limits:
    """What one address, one site and all of them together may ask for."""

    requests_per_s: float = 200.0
    burst: int = 2000
    refused_cost: int = 10  # requests that one counts for which was refused
    max_body_bytes: int = MAX_BODY_BYTES  # of a part that a site pushes
    small_body_bytes: int = 2**16  # of everything else that is asked
    site_bytes: int = 64 * 2**20  # of all bodies of a site that are being read or passed on
    total_bytes: int = 2**30
    body_s: float = 120.0  # for reading a body
    head_bytes: int = 2**16  # of a request's line and headers
    head_lines: int = 100
    head_s: float = 10.0  # for a TLS handshake, and for each request's head
    exchange_s: float = 300.0  # for a request with its answer
    connections: int = 1000
    address_connections: int = 200  # that have not proven a site, of one address
    site_connections: int = 16  # that count as proven; a site uses nine
    audit_bytes: int = 64 * 2**20  # of an audit file, and seven older ones are kept


class Held:
    """Bytes of bodies in memory, by site; `site` is one that has proven itself."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: dict[str, int] = {}

    @contextmanager
    def of(self, site: str, size: int) -> Iterator[bool]:
        """Count `size` bytes inside the block; whether there is room for them."""
        mine, total = self._held.get(site, 0) + size, sum(self._held.values()) + size
        if mine > self._limits.site_bytes or total > self._limits.total_bytes:
            yield False
            return
        self._held[site] = mine
        try:
            yield True
        finally:
            left = self._held.pop(site, 0) - size  # absent where all of a site's are empty
            if left:
                self._held[site] = left


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
