"""What joins a parent and its worker: a pipe, and for what is large memory that both of them see.

Through a pipe a model's weights take ten times as long as the copy that they are. See docs/decisions/0073.
"""

import mmap
import pickle
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

LANE_BYTES = 2**26  # each way; memory is taken up only as far as it was ever used


@dataclass(frozen=True)
class Lanes:
    """Memory for each direction, which a forked process inherits; None for one that is spawned."""

    down: mmap.mmap | None = None  # from the parent
    up: mmap.mmap | None = None  # from the worker

    @classmethod
    def make(cls) -> "Lanes":
        """Lanes for one worker that is about to be forked."""
        return cls(mmap.mmap(-1, LANE_BYTES), mmap.mmap(-1, LANE_BYTES))


class Line:
    """One end. Arrays, and what else pickles as a buffer, are laid into memory; the rest is piped.

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
        laid: list[tuple[int, int]] = []  # offset and length of each buffer
        data = pickle.dumps(value, protocol=5, buffer_callback=lambda one: self._lay(one, laid))
        self.connection.send_bytes(pickle.dumps((data, laid)))

    def receive(self) -> Any:  # noqa: ANN401 - what the other end has sent
        """Wait for the next value. Raises EOFError or OSError where the other end is gone."""
        # The process at the other end is our own: nothing here comes from a network.
        data, laid = pickle.loads(self.connection.recv_bytes())  # noqa: S301
        self._used = 0
        incoming = memoryview(self._incoming or b"")
        buffers = [bytearray(incoming[at : at + length]) for at, length in laid]
        return pickle.loads(data, buffers=buffers)  # noqa: S301

    def _lay(self, buffer: pickle.PickleBuffer, laid: list[tuple[int, int]]) -> bool:
        """Lay a buffer into memory and note where; True, as pickle has it, where it must be piped."""
        view = buffer.raw()
        end = self._used + len(view)
        if self._outgoing is None or end > len(self._outgoing):
            return True
        self._outgoing[self._used : end] = view
        laid.append((self._used, len(view)))
        self._used = end
        return False

    def close(self) -> None:
        """Take no more part; memory goes when both ends have let go of it."""
        self.connection.close()
