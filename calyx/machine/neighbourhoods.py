"""How often somebody comes, by address: buckets of tokens, and what counts as one address."""

from ipaddress import ip_address, ip_network
from typing import Protocol

_MOST = 10_000  # addresses that are remembered


class Rate(Protocol):
    """How much one may ask for."""

    @property
    def requests_per_s(self) -> float:
        """In the long run."""

    @property
    def burst(self) -> int:
        """At once, after a while of quiet."""

    @property
    def refused_cost(self) -> int:
        """Requests that one counts for which was refused."""


class Buckets:
    """A token bucket a site or an address; those that were quiet are forgotten."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._left: dict[str, tuple[float, float]] = {}  # who → (tokens, when)

    def allow(self, who: str, now: float) -> bool:
        """Whether one more request of this site or address is within its rate."""
        rate, burst = self._rate.requests_per_s, float(self._rate.burst)
        tokens, before = self._left.get(who, (burst, now))
        tokens = min(burst, tokens + (now - before) * rate)
        if len(self._left) > _MOST:
            self._left = {a: t for a, t in self._left.items() if now - t[1] < burst / rate}
            for one in list(self._left)[: len(self._left) - _MOST // 2]:
                del self._left[one]  # many at once, each from an address of its own: the oldest go
        self._left[who] = (max(0.0, tokens - 1), now)
        return tokens >= 1

    def charge(self, who: str) -> None:
        """A request of this site or address was refused: it counts for several."""
        if who in self._left:
            tokens, when = self._left[who]
            self._left[who] = (max(0.0, tokens - self._rate.refused_cost + 1), when)


def neighbourhood(address: str) -> str:
    """What counts as one address: of IPv6 the 64 bits that one subscriber has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ip_network((int(parsed) >> 64 << 64, 64)))
