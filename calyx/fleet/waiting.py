"""Questions for messages are held until there is one, so that nobody asks again and again."""

import asyncio
import time

from calyx.flower.bell import GatewayBell

HOLD_S = 8.0  # that a question for messages may wait; a site gives up after 30
UNASKED_S = 1.0  # that one may wait who has just replied, before it is asked for him at all
PULL = "pull-messages"


class Waiting:
    """Holds a site's question for messages until there is one, or HOLD_S have passed.

    A site that asks for messages after it has sent some has sent the whole of them. Only then are the
    server apps told that something has come, and not at each part.
    """

    def __init__(self) -> None:
        self.bell: GatewayBell | None = None
        self._senders: set[str] = set()
        self._asked: dict[str, int] = {}  # site → rings before its last question
        self._is_closing = False

    def note(self, name: str, site: str) -> None:
        """Note that the SuperLink has taken a call of a site to the Fleet path `name`."""
        if name.startswith("push-") and self.bell is not None:
            self._senders.add(site)
            self._asked.setdefault(site, -1)

    async def begin(self, name: str, site: str) -> asyncio.Event | None:
        """Take a question of a site; returns the ring that `hold` is to wait for, None to answer at once."""
        bell = self.bell
        if bell is None or name != PULL or self._is_closing:
            return None
        if site in self._senders:
            self._senders.discard(site)
            bell.ring()
            if self._asked.get(site) == bell.count:  # no app has sent anything since
                await self.hold(bell.next_ring, time.monotonic() + UNASKED_S)
        if site in self._asked:
            self._asked[site] = bell.count
        return bell.next_ring

    def release(self) -> None:
        """Answer everybody who waits, and hold nobody any more: the gateway is about to end."""
        self._is_closing = True
        if self.bell is not None:
            self.bell.next_ring.set()

    async def hold(self, ring: asyncio.Event | None, until: float) -> bool:
        """Wait for a ring until `until` (s, monotonic); returns whether there was one."""
        if ring is None:
            return False
        try:
            await asyncio.wait_for(ring.wait(), until - time.monotonic())
        except TimeoutError:
            return False
        return True
