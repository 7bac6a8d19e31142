"""Connections to a gateway, and which of them goes where there are too many.

The oldest goes on which nobody has proven himself: a limit that refused newcomers would keep a site or
a caller out behind an address that somebody else holds full.
"""

from collections.abc import Callable
from typing import Protocol


class Crowd(Protocol):
    """How many connections there may be."""

    @property
    def connections(self) -> int:
        """In all."""

    @property
    def address_connections(self) -> int:
        """Of one address, on which nobody has proven himself."""

    @property
    def site_connections(self) -> int:
        """Of one site, or caller, that count as proven."""


class Guest:
    """A connection: from which address, whose it is if a site has proven itself, how to end it."""

    def __init__(self, address: str, end: Callable[[], object]) -> None:
        self.address, self.end = address, end
        self.site: str | None = None


class Guests:
    """All open connections, the oldest first, and how many of whom there may be."""

    def __init__(self, limits: Crowd) -> None:
        self._limits = limits
        self._unproven: dict[str, dict[Guest, None]] = {}  # by address
        self._proven: dict[str, dict[Guest, None]] = {}  # by site
        self._count = 0

    def add(self, guest: Guest) -> None:
        """A connection has come; the oldest unproven one of a crowd is ended for it."""
        of_address = self._unproven.setdefault(guest.address, {})
        of_address[guest] = None
        self._count += 1
        if len(of_address) > self._limits.address_connections:
            self._end_oldest(of_address)
        elif self._count > self._limits.connections:
            self.end_one()

    def end_one(self) -> None:
        """End the oldest unproven connection of the address that has most of them, if there is one."""
        if self._unproven:
            self._end_oldest(max(self._unproven.values(), key=len))

    def remove(self, guest: Guest) -> None:
        """A connection has ended, by whomever."""
        company = self._company(guest)
        if guest in company:
            del company[guest]
            self._count -= 1
        if not company and guest.site is None:
            self._unproven.pop(guest.address, None)
        elif not company and guest.site is not None:
            self._proven.pop(guest.site, None)

    def prove(self, guest: Guest, site: str) -> None:
        """A request of this site has come on it; of too many such the oldest is ended."""
        if guest.site == site or guest not in self._company(guest):
            return
        self.remove(guest)
        guest.site = site
        own = self._proven.setdefault(site, {})
        own[guest] = None
        self._count += 1
        if len(own) > self._limits.site_connections:
            oldest = next(iter(own))
            self.remove(oldest)
            oldest.end()

    def _company(self, guest: Guest) -> dict[Guest, None]:
        if guest.site is None:
            return self._unproven.get(guest.address, {})
        return self._proven.get(guest.site, {})

    def _end_oldest(self, of_address: dict[Guest, None]) -> None:
        oldest = next(iter(of_address))
        self.remove(oldest)
        oldest.end()
