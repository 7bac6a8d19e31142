"""Throw-away identities of a simulation: made anew for each run, resume and job of a sweep.

They are real keys under a real roster, whose consortium forgets its own key at once. Nobody
outside this process is meant to believe them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from calyx.secagg.keys import KEY_BYTES, identity_of
from calyx.secagg.roster import make_roster, write_roster
from client.config import RunKeys


@dataclass(frozen=True)
class Identities:
    """Ed25519 private keys by client name, and the roster of their public halves as JSON."""

    private: dict[str, bytes] = field(repr=False)
    roster: str

    def keys_of(self, name: str) -> RunKeys:
        """The keys of one client."""
        return RunKeys(self.private[name], self.roster)


def throw_away(clients: Sequence[str]) -> Identities:
    """New identities for these clients, from the operating system's randomness."""
    private = {name: os.urandom(KEY_BYTES) for name in clients}
    public = {name: identity_of(key) for name, key in private.items()}
    return Identities(private, write_roster(make_roster(public, 1, os.urandom(KEY_BYTES))))
