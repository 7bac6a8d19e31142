"""What the clients of one simulation compute once for all of them. Closed in the process of a site.

The processes of a simulation hold both sides of every pair of clients. So what two clients agree on is
computed by whichever comes first and taken by the other, and a signature that one process has made or
verified is not verified again in another. Only `calyx.simulation` opens it, before its workers are
forked, so that they share one table; everywhere else each client computes everything by itself, since
it trusts no other. See docs/decisions/0076.
"""

import mmap
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256

_VALUE_BYTES, _NAME_BYTES, _SLOT_BYTES = 32, 16, 64
_SLOTS = 2**17  # 8 MiB; a cohort of 100 leaves 10,000 values a round, of which few meet in a slot
_SIGNED = bytes(_VALUE_BYTES)


class _Table:
    """Values by what they depend on, in memory that processes share without a lock.

    A slot is a name (16 bytes of SHA-256 of the key), the value, and a checksum of both, by which one
    that another process is just overwriting is passed over. What is lost is computed again.
    """

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, _SLOTS * _SLOT_BYTES)

    def leave(self, key: bytes, value: bytes) -> None:
        """Leave `value`, of 32 bytes."""
        name, at = _place(key)
        self.memory[at : at + _SLOT_BYTES] = _slot(name, value)

    def look(self, key: bytes) -> bytes | None:
        """The value that was left, if it is still there."""
        name, at = _place(key)
        slot = self.memory[at : at + _SLOT_BYTES]
        value = slot[_NAME_BYTES : _NAME_BYTES + _VALUE_BYTES]
        return value if slot == _slot(name, value) else None

    def erase(self, key: bytes) -> None:
        """Nothing is left of it."""
        _, at = _place(key)
        self.memory[at : at + _SLOT_BYTES] = bytes(_SLOT_BYTES)


def _place(key: bytes) -> tuple[bytes, int]:
    digest = sha256(key).digest()
    number = int.from_bytes(digest[_NAME_BYTES : _NAME_BYTES + 4], "little")
    return digest[:_NAME_BYTES], number % _SLOTS * _SLOT_BYTES


def _slot(name: bytes, value: bytes) -> bytes:
    return (name + value + zlib.crc32(name + value).to_bytes(4, "little")).ljust(_SLOT_BYTES, b"\0")


_table: _Table | None = None


@contextmanager
def share() -> Iterator[None]:
    """Open it for this process and for those that are forked from it; all is erased at the end."""
    global _table
    before, _table = _table, _Table()
    try:
        yield
    finally:
        _table.memory.close()
        _table = before


def is_open() -> bool:
    """Whether anything is shared in this process."""
    return _table is not None


def compute_for_both(key: bytes, compute: Callable[[], bytes]) -> bytes:
    """`compute()`, 32 bytes that only `key` decides, or what the other side of a pair has left.

    Who takes it is the second to need it, and the last: nothing of it stays.
    """
    if _table is None:
        return compute()
    value = _table.look(key)
    if value is not None:
        _table.erase(key)
        return value
    value = compute()
    _table.leave(key, value)
    return value


def note_signed(key: bytes) -> None:
    """A signature fits, of which `key` says everything: whose, of what, and its bytes."""
    if _table is not None:
        _table.leave(key, _SIGNED)


def is_signed(key: bytes) -> bool:
    """Whether that is known here."""
    return _table is not None and _table.look(key) is not None
