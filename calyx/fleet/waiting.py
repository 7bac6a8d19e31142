"""Questions for messages are held until there is one, so that nobody asks again and again."""

import asyncio
import time

from calyx.flower.bell import GatewayBell

HOLD_S = 8.0  # that a question for messages may wait; a site gives up after 30
UNASKED_S = 1.0  # that one may wait who has just replied, before it is asked for him at all
PULL = "pull-messages"


class Waiting:
    """Sites that ask for messages are answered when there is one, or after HOLD_S.

    Who has sent something and now asks for more has sent all of it: that is when apps are rung.
    """

    def __init__(self) -> None:
        self.bell: GatewayBell | None = None
        self._senders: set[str] = set()
        self._asked: dict[str, int] = {}  # site → rings before its last question
        self._is_closing = False

    def note(self, name: str, site: str) -> None:
        """A site has called one of the Fleet paths, and the SuperLink knows it."""
        if name.startswith("push-") and self.bell is not None:
            self._senders.add(site)
            self._asked.setdefault(site, -1)

    async def begin(self, name: str, site: str) -> asyncio.Event | None:
        """Before a question is asked: what `hold` will wait for."""
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
        """The gateway is about to end: hold nobody any more."""
        self._is_closing = True
        if self.bell is not None:
            self.bell.next_ring.set()

    async def hold(self, ring: asyncio.Event | None, until: float) -> bool:
        """Whether it is worth asking again: there was a ring."""
        if ring is None:
            return False
        try:
            await asyncio.wait_for(ring.wait(), until - time.monotonic())
        except TimeoutError:
            return False
        return True
