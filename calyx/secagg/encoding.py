"""Unambiguous bytes for everything that is hashed, signed or sent. `calyx-secagg/1` §3.

It knows no field of the protocol: only items, rows and their lengths.
"""

import hashlib
import struct
from collections.abc import Iterable

PROTOCOL = "calyx-secagg/1"
# Part of every context, so that a broken primitive can be replaced and never be confused.
SUITE = "calyx-secagg/1 X25519 Ed25519 SHA-256 HKDF AES-CTR AES-256-GCM GF(2^256+297)"

Item = bytes | str | int


def enc(*items: Item) -> bytes:
    """Items one after another, each with its length as u32 little-endian (§3).

    Text is UTF-8; integers (0 … 2^64 − 1) are u64 little-endian.
    """
    parts = [_item(item) for item in items]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def split(data: bytes) -> list[bytes]:
    """The items of an `enc`. Raises ValueError for one that is cut short."""
    items, at = [], 0
    while at < len(data):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "little")
        items.append(data[start:at])
    if at != len(data):
        raise ValueError("the last item is cut short")
    return items


def _item(item: Item) -> bytes:
    if isinstance(item, int):
        return struct.pack("<Q", item)
    return item.encode() if isinstance(item, str) else item


def hash_of(tag: str, *items: Item) -> bytes:
    """H(tag, …) = SHA-256(enc("calyx-secagg/1/" + tag, …)), 32 bytes (§3)."""
    return hashlib.sha256(enc(f"{PROTOCOL}/{tag}", *items)).digest()


def set_hash(members: Iterable[int]) -> bytes:
    """H("set", …) of indices, ascending (§4, stage 3)."""
    return hash_of("set", *sorted(members))


def rows_to_bytes(rows: Iterable[tuple[int, bytes]]) -> bytes:
    """A table for the wire: of each row an index as u32 little-endian, and its bytes."""
    return b"".join(struct.pack("<I", index) + value for index, value in rows)


def rows_from_bytes(data: bytes, width: int) -> list[tuple[int, bytes]]:
    """The rows of a table whose values have `width` bytes.

    Raises ValueError for a ragged table or for an index that comes twice.
    """
    step = 4 + width
    if len(data) % step:
        raise ValueError(f"{len(data)} bytes are no whole number of rows of {step}")
    rows = [
        (int.from_bytes(data[at : at + 4], "little"), data[at + 4 : at + step])
        for at in range(0, len(data), step)
    ]
    if len({index for index, _ in rows}) != len(rows):
        raise ValueError("an index comes twice")
    return rows
