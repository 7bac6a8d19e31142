"""How much a site may send for what was sent to it: a reply has about the size of a model.

An exchange begins when a message is handed to a site. Until the next one it may push max(16 MiB,
twice what a message brought down to it), the largest of its last messages: of the stages of a sum
the first brings the model, and the third carries the vector.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from calyx.fleet.guard import MAX_BODY_BYTES

MESSAGES_KEPT = 64  # of five stages each, of several runs at once


@dataclass
class _Exchange:
    """Since a message was handed to a site."""

    down: int = 0
    up: int = 0
    parts: set[str] = field(default_factory=set)  # that came down or went up: each counts once


@dataclass
class Push:
    """One push, whose part is named once the SuperLink has taken it."""

    part: str | None = None


class Quotas:
    """Bytes that each site has pushed in its exchange."""

    def __init__(self, least: int = MAX_BODY_BYTES) -> None:
        self._least = least
        self._exchanges: dict[str, deque[_Exchange]] = {}
        self._messages: dict[str, deque[str]] = {}

    def note_messages(self, site: str, messages: list[str], size: int) -> None:
        """Messages were handed to a site, in an answer of `size` bytes."""
        self._of(site).append(_Exchange(down=size))
        self._messages.setdefault(site, deque(maxlen=MESSAGES_KEPT)).extend(messages)

    def note_part(self, site: str, part: str, size: int) -> None:
        """A part of a message was handed to a site; one that it had already counts no more."""
        exchange = self._of(site)[-1]
        if part not in exchange.parts:
            exchange.parts.add(part)
            exchange.down += size

    def has_message(self, site: str, message: str) -> bool:
        """Whether this message was handed to this site lately."""
        return message in self._messages.get(site, ())

    def left(self, site: str) -> int:
        """Bytes that a site may push before its next message."""
        exchanges = self._of(site)
        return max(self._least, 2 * max(e.down for e in exchanges)) - exchanges[-1].up

    @contextmanager
    def push(self, site: str, size: int) -> Iterator["Push | None"]:
        """Reserve `size` bytes inside the block; None where the site has not so many left.

        They stay charged where the block says that a part of them was taken, each part once: a
        link that loses an answer makes an honest site send a part again.
        """
        if size > self.left(site):
            yield None
            return
        exchange, push = self._of(site)[-1], Push()
        exchange.up += size
        try:
            yield push
        finally:
            if push.part is None or push.part in exchange.parts:
                exchange.up -= size
            else:
                exchange.parts.add(push.part)

    def _of(self, site: str) -> deque[_Exchange]:
        exchanges = self._exchanges.setdefault(site, deque(maxlen=MESSAGES_KEPT))
        if not exchanges:
            exchanges.append(_Exchange())
        return exchanges
