"""Unambiguous bytes for everything that is hashed, signed or sent. `calyx-secagg/1` §3.

It knows no field of the protocol: only items, rows and their lengths.
"""

import hashlib
import struct
from collections.abc import Iterable
from functools import lru_cache

PROTOCOL = "calyx-secagg/1"
# Part of every context, so that a broken primitive can be replaced and never be confused.
SUITE = "calyx-secagg/1 X25519 Ed25519 SHA-256 HKDF AES-CTR AES-256-GCM GF(2^256+297)"

Item = bytes | str | int
_LENGTH, _INTEGER = struct.Struct("<I"), struct.Struct("<IQ")


def enc(*items: Item) -> bytes:
    """Items one after another, each with its length as u32 little-endian (§3).

    Text is UTF-8; integers (0 … 2^64 − 1) are u64 little-endian. enc(a) ‖ enc(b) = enc(a, b), so that
    what is hashed a thousand times in one context is encoded once.
    """
    return b"".join([_framed(item) for item in items])


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


def _framed(item: Item) -> bytes:
    if isinstance(item, int):
        return _INTEGER.pack(8, item)
    data = item.encode() if isinstance(item, str) else item
    return _LENGTH.pack(len(data)) + data


def hash_of(tag: str, *items: Item) -> bytes:
    """H(tag, …) = SHA-256(enc("calyx-secagg/1/" + tag, …)), 32 bytes (§3)."""
    return hashlib.sha256(enc(f"{PROTOCOL}/{tag}", *items)).digest()


def set_hash(members: Iterable[int]) -> bytes:
    """H("set", …) of indices, ascending (§4, stage 3)."""
    return _hash_of_set(tuple(sorted(members)))


@lru_cache(maxsize=8)  # every client of a sum signs the same set, and so every server reads it
def _hash_of_set(members: tuple[int, ...]) -> bytes:
    return hash_of("set", *members)


def rows_to_bytes(rows: Iterable[tuple[int, bytes]]) -> bytes:
    """A table for the wire: of each row an index as u32 little-endian, and its bytes."""
    return b"".join([_LENGTH.pack(index) + value for index, value in rows])


def rows_from_bytes(data: bytes, width: int) -> list[tuple[int, bytes]]:
    """The rows of a table whose values have `width` bytes.

    Raises ValueError for a ragged table or for an index that comes twice.
    """
    row = struct.Struct(f"<I{width}s")
    if len(data) % row.size:
        raise ValueError(f"{len(data)} bytes are no whole number of rows of {row.size}")
    rows = list(row.iter_unpack(data))
    if len({index for index, _ in rows}) != len(rows):
        raise ValueError("an index comes twice")
    return rows
