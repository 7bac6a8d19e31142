"""What the clients of one simulation compute once for all of them. Closed in the process of a site.

The processes of a simulation hold both sides of every pair of clients. So what two clients agree on is
computed by whichever comes first and taken by the other, and a signature that one process has made or
verified is not verified again in another. Only `calyx.simulation` opens it, before its workers are
forked, so that they share one table; everywhere else each client computes everything by itself, since
it trusts no other. See docs/decisions/0076.
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from zlib import crc32

_SLOT_BYTES = 64
_SLOTS = 2**17  # 8 MiB; a cohort of 100 leaves 10,000 values a round, of which few meet in a slot
_SIGNED, _EMPTY = bytes(32), bytes(_SLOT_BYTES)


_memory: mmap.mmap | None = None


@contextmanager
def share() -> Iterator[None]:
    """Open it for this process and for those that are forked from it; all is erased at the end."""
    global _memory
    before, _memory = _memory, mmap.mmap(-1, _SLOTS * _SLOT_BYTES)
    try:
        yield
    finally:
        _memory.close()
        _memory = before


def is_open() -> bool:
    """Whether anything is shared in this process."""
    return _memory is not None


def compute_for_both(key: bytes, compute: Callable[[], bytes]) -> bytes:
    """`compute()`, 32 bytes that only `key` decides, or what the other side of a pair has left.

    Who takes it is the second to need it, and the last: nothing of it stays.
    """
    if _memory is None:
        return compute()
    name, at = _place(key)
    if (value := _read(name, at)) is not None:
        _memory[at : at + _SLOT_BYTES] = _EMPTY
    else:
        value = compute()
        _write(name, at, value)
    return value


def note_signed(key: bytes) -> None:
    """A signature fits, of which `key` says everything: whose, of what, and its bytes."""
    if _memory is not None:
        _write(*_place(key), _SIGNED)


def is_signed(key: bytes) -> bool:
    """Whether that is known here."""
    return _memory is not None and _read(*_place(key)) is not None


# A slot is a name (28 bytes of SHA-256 of the key), the value, and a checksum of both, by which one that
# another process is just overwriting is passed over.


def _place(key: bytes) -> tuple[bytes, int]:
    digest = sha256(key).digest()
    return digest[4:], int.from_bytes(digest[:4], "little") % _SLOTS * _SLOT_BYTES


def _read(name: bytes, at: int) -> bytes | None:
    slot = _memory[at : at + _SLOT_BYTES] if _memory is not None else _EMPTY
    if not slot.startswith(name) or slot[60:] != crc32(slot[:60]).to_bytes(4, "little"):
        return None
    return slot[28:60]


def _write(name: bytes, at: int, value: bytes) -> None:
    named = name + value
    if _memory is not None:
        _memory[at : at + _SLOT_BYTES] = named + crc32(named).to_bytes(4, "little")
