"""Throw-away identities of a simulation: made anew for each run, resume and job of a sweep.

They are real keys under a real roster, whose consortium forgets its own key at once. Nobody
outside this process is meant to believe them.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from calyx.data.names import NumberedNames
from calyx.flower.messages import SERVER_NODE
from calyx.secagg.encoding import enc
from calyx.secagg.keys import KEY_BYTES, expand, identity_of
from calyx.secagg.roster import make_roster, write_roster
from client.config import RunKeys


@dataclass(frozen=True)
class NumberedNodes(Mapping[str, int]):
    """Client name → node id: those of sorted names follow one another, and none is held."""

    names: Sequence[str]  # sorted

    @override
    def __getitem__(self, name: str) -> int:
        place = bisect_left(self.names, name)
        if place == len(self.names) or self.names[place] != name:
            raise KeyError(name)
        return self.ids[place]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @override
    def __len__(self) -> int:
        return len(self.names)

    @property
    def ids(self) -> range:
        """All nodes; Flower's server is the one before."""
        return range(SERVER_NODE + 1, SERVER_NODE + 1 + len(self.names))

    def name_of(self, node: int) -> str:
        """The client that a node is."""
        return self.names[self.ids.index(node)]


@dataclass(frozen=True)
class Identities:
    """The clients of a simulation; where sums are encrypted, their keys, which are made when asked for."""

    clients: Sequence[str]  # sorted
    roster: str | None  # of their public keys, as JSON; None where nothing is encrypted
    secret: bytes = field(repr=False)  # 32 bytes, from which each private key is derived

    def private_of(self, name: str) -> bytes:
        """The Ed25519 private key of one client."""
        return expand(self.secret, enc("identity", name), KEY_BYTES)

    def keys_of(self, name: str) -> RunKeys | None:
        """The keys of one client; None where nothing is encrypted."""
        return None if self.roster is None else RunKeys(self.private_of(name), self.roster)


def throw_away(clients: Sequence[str], *, is_encrypted: bool = True) -> Identities:
    """New identities for these clients, from the operating system's randomness.

    A roster holds all public keys, which takes 25 µs and 90 bytes a client; without encryption there is
    none, and nothing is made.
    """
    ordered = clients if isinstance(clients, NumberedNames) else tuple(sorted(clients))
    identities = Identities(ordered, None, os.urandom(KEY_BYTES))
    if not is_encrypted:
        return identities
    public = {name: identity_of(identities.private_of(name)) for name in clients}
    roster = write_roster(make_roster(public, 1, os.urandom(KEY_BYTES)))
    return Identities(ordered, roster, identities.secret)
