"""What joins a parent and its worker: a pipe, and for what is large memory that both of them see.

Through a pipe a model's weights take ten times as long as the copy that they are. See docs/decisions/0073.
"""

import mmap
import pickle
import struct
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

_PLACE = struct.Struct("<QQ")  # where a value begins and ends in memory
LANE_BYTES = 2**26  # each way; memory is taken up only as far as it was ever used


@dataclass(frozen=True)
class Lanes:
    """Memory for each direction, which a forked process inherits; None for one that is spawned."""

    down: mmap.mmap | None = None  # from the parent
    up: mmap.mmap | None = None  # from the worker

    @classmethod
    def make(cls) -> "Lanes":
        """Lanes for one worker that is about to be forked; none where the machine grants no memory."""
        try:
            return cls(mmap.mmap(-1, LANE_BYTES), mmap.mmap(-1, LANE_BYTES))
        except OSError:
            return cls()


class Line:
    """One end. A value is pickled straight into memory, and through the pipe where it does not fit.

    Who sends overwrites what it has laid there only after it has heard from the other end: an answer
    comes after everything that was sent before it was read.
    """

    def __init__(
        self, connection: Connection, outgoing: mmap.mmap | None, incoming: mmap.mmap | None
    ) -> None:
        self.connection = connection
        self._outgoing, self._incoming = outgoing, incoming
        self._used = 0  # bytes of `outgoing`

    def send(self, value: Any) -> None:  # noqa: ANN401 - whatever can be pickled
        """Send a value. Raises OSError where the other end is gone."""
        if self._outgoing is not None:
            sheet = _Sheet(self._outgoing, self._used)
            try:
                pickle.dump(value, sheet, protocol=5)
            except _SheetFull:
                pass
            else:
                self.connection.send_bytes(_PLACE.pack(self._used, sheet.end))
                self._used = sheet.end
                return
        self.connection.send_bytes(b"")
        self.connection.send_bytes(pickle.dumps(value, protocol=5))

    def receive(self) -> Any:  # noqa: ANN401 - what the other end has sent
        """Wait for the next value. Raises EOFError or OSError where the other end is gone."""
        # The process at the other end is our own: nothing here comes from a network.
        place = self.connection.recv_bytes()
        self._used = 0
        if not place or self._incoming is None:
            return pickle.loads(self.connection.recv_bytes())  # noqa: S301
        start, end = _PLACE.unpack(place)
        with memoryview(self._incoming) as view, view[start:end] as data:
            return pickle.loads(data)  # noqa: S301

    def close(self) -> None:
        """Take no more part; memory goes when both ends have let go of it."""
        self.connection.close()


class _SheetFull(Exception):
    """A value does not fit into what is left of the memory."""


class _Sheet:
    """Memory as a file that pickle writes; without one it would hold what is large twice more."""

    def __init__(self, memory: mmap.mmap, start: int) -> None:
        self._memory, self.end = memory, start

    def write(self, data: bytes | pickle.PickleBuffer) -> None:
        """Append bytes."""
        view = data.raw() if isinstance(data, pickle.PickleBuffer) else memoryview(data)
        start, self.end = self.end, self.end + view.nbytes
        if self.end > len(self._memory):
            raise _SheetFull
        self._memory[start : self.end] = view
