"""Throw-away identities of a simulation: made anew for each run, resume and job of a sweep.

They are real keys under a real roster, whose consortium forgets its own key at once. Nobody
outside this process is meant to believe them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from calyx.data.names import NumberedNames
from calyx.secagg.encoding import enc
from calyx.secagg.keys import KEY_BYTES, expand, identity_of
from calyx.secagg.roster import make_roster, write_roster
from client.config import RunKeys


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
