"""Values that a process keeps in case they are wanted again: those used last, as far as memory goes.

A simulation's worker serves client after client, and must not hold the rows of all of them.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Generic, TypeVar

from calyx.machine.cgroups import memory_left
from calyx.machine.hardware import cores

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """What `make` gives for a key, kept while all that is kept has at most `most()` bytes.

    The last value is kept whatever its size.
    """

    def __init__(
        self, make: Callable[[K], V], size: Callable[[V], int], most: Callable[[], int]
    ) -> None:
        self.make, self._size, self._most = make, size, most
        self._values: OrderedDict[K, V] = OrderedDict()  # the one used last is at the end
        self._bytes = 0

    def __call__(self, key: K) -> V:
        """The value of this key, made if it is not kept. Raises what `make` raises."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self.make(key)
        self._bytes += self._size(value)
        self._values[key] = value
        while self._bytes > self._most() and len(self._values) > 1:
            self._bytes -= self._size(self._values.popitem(last=False)[1])
        return value

    def cache_clear(self) -> None:
        """Keep nothing, as of `functools.lru_cache`."""
        self._values.clear()
        self._bytes = 0


@cache
def share_of_memory() -> int:
    """Bytes of this machine's memory for one of two such stores in a process, of which each core has one."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    left = memory_left()
    return (whole if left is None else min(left, whole)) // (4 * cores())
