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

_SLOT_BYTES, _VALUE_BYTES, _CHECK_BYTES = 64, 32, 4
_SLOTS = 2**17  # 8 MiB; a cohort of 100 leaves 10,000 values a round, of which few meet in a slot
_SIGNED, _EMPTY = bytes(_VALUE_BYTES), bytes(_SLOT_BYTES)


class _Slot:
    """Where the value of one key may lie: a name (of SHA-256 of the key), the value, a checksum.

    By the checksum one that another process is just overwriting is passed over; what is lost is
    computed again.
    """

    def __init__(self, memory: mmap.mmap, key: bytes) -> None:
        digest = sha256(key).digest()
        at = int.from_bytes(digest[:4], "little") % _SLOTS * _SLOT_BYTES
        self._memory, self._name = memory, digest[4:]
        self._place = slice(at, at + _SLOT_BYTES)

    def write(self, value: bytes) -> None:
        """Leave `value`, of 32 bytes."""
        self._memory[self._place] = self._checked(self._name + value)

    def read(self) -> bytes | None:
        """The value that was left, if it is still there."""
        slot = self._memory[self._place]
        named = slot[:-_CHECK_BYTES]
        is_there = slot.startswith(self._name) and slot == self._checked(named)
        return named[len(self._name) :] if is_there else None

    def erase(self) -> None:
        """Nothing is left of it."""
        self._memory[self._place] = _EMPTY

    @staticmethod
    def _checked(named: bytes) -> bytes:
        return named + crc32(named).to_bytes(_CHECK_BYTES, "little")


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
    slot = _Slot(_memory, key)
    if (value := slot.read()) is not None:
        slot.erase()
    else:
        value = compute()
        slot.write(value)
    return value


def note_signed(key: bytes) -> None:
    """A signature fits, of which `key` says everything: whose, of what, and its bytes."""
    if _memory is not None:
        _Slot(_memory, key).write(_SIGNED)


def is_signed(key: bytes) -> bool:
    """Whether that is known here."""
    return _memory is not None and _Slot(_memory, key).read() is not None
