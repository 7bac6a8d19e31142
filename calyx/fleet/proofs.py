"""Which site a request is from, known before a byte of its body is read.

A site signs the time of each request with its node key, and the gateway has the public keys of
the folder `nodes`. A request without such a proof is a stranger's: no body of his is kept, and
nothing of his comes to the SuperLink. A signature serves once. See docs/decisions/0059.
"""

import itertools
import time
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers

from calyx.flower.fleet import AHEAD_S, BELIEVED_S, Signed, readable_keys
from calyx.flower.messages import SIGNATURE_HEADER, SITE_HEADER, TIME_HEADER

MAX_SEEN = 500_000
_TIMES_KEPT_S = BELIEVED_S + AHEAD_S + 20  # a signature's time may be ahead of our clock


class Proofs:
    """Names the site that has signed a request."""

    def __init__(self, sites: Mapping[str, bytes], clock: Callable[[], float] = time.time) -> None:
        self._keys, self._clock = readable_keys(sites.items()), clock
        self._seen = Replays()

    def name(self, headers: Headers) -> str | None:
        """The site's name; None for a stranger.

        Raises Replayed where the signature has served before.
        """
        try:
            signed = Signed.read(
                *(headers.get(n, "") for n in (SITE_HEADER, TIME_HEADER, SIGNATURE_HEADER))
            )
            now, nonce = self._clock(), signed.nonce
            is_fresh = -AHEAD_S < signed.age_s(now) < BELIEVED_S
        except (ValueError, OverflowError):
            return None
        name, key = self._keys.get(signed.key, (None, None))
        if key is None or not is_fresh:
            return None
        if self._seen.is_one(nonce):
            raise Replayed
        if not signed.is_by(key):
            return None
        self._seen.note(nonce, now)
        return name


class Replayed(Exception):
    """A signature that has served before."""


class Replays:
    """Numbers of signatures that have served; those that nobody would believe are forgotten.

    Node authentication signs a time and not the body, and believes it for five minutes: whoever
    has seen a request could otherwise send it, or another one, again.
    """

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}

    def is_one(self, nonce: int) -> bool:
        """Whether a signature with this number has served before."""
        return nonce in self._seen

    def note(self, nonce: int, now: float) -> None:
        """It has served; those of long ago are forgotten."""
        self._seen[nonce] = now
        for old, then in list(itertools.islice(self._seen.items(), 8)):
            if now - then > _TIMES_KEPT_S or len(self._seen) > MAX_SEEN:
                del self._seen[old]
