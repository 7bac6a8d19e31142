"""Who may take part: names and identity keys, signed by a consortium, pinned on every client.

`calyx-secagg/1` §3. A roster never comes from the server. It knows no files and no clock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from calyx.secagg.encoding import hash_of
from calyx.secagg.keys import KEY_BYTES, SIGNATURE_BYTES, identity_of, sign, verify

MAX_CLIENTS = 2**20
_FIELDS = {"version", "clients", "consortium", "signature"}


@dataclass(frozen=True)
class Roster:
    """Client name → Ed25519 key, a version that only grows, and the consortium's signature.

    `clients` are sorted by UTF-8 name; a client's index u is its place, its Shamir point u + 1.
    """

    version: int
    clients: tuple[tuple[str, bytes], ...]
    consortium: bytes  # Ed25519 public key, whose fingerprint people compare
    signature: bytes

    @cached_property
    def digest(self) -> bytes:
        """H("roster", version, names and keys, consortium), 32 bytes: what is signed and bound."""
        flat = [part for pair in self.clients for part in pair]
        return hash_of("roster", self.version, self.consortium, *flat)

    @cached_property
    def indices(self) -> Mapping[str, int]:
        """u of each name."""
        return {name: u for u, (name, _) in enumerate(self.clients)}

    def __hash__(self) -> int:
        """By its digest, which is computed once: what is verified against it is cached by it."""
        return hash(self.digest)

    def __len__(self) -> int:
        """Number of clients."""
        return len(self.clients)

    def key(self, u: int) -> bytes:
        """The Ed25519 key of the client with index u."""
        return self.clients[u][1]

    def name(self, u: int) -> str:
        """The name of the client with index u."""
        return self.clients[u][0]


def make_roster(clients: Mapping[str, bytes], version: int, consortium_private: bytes) -> Roster:
    """A signed roster. Raises ValueError for what `read_roster` would refuse."""
    ordered = tuple(sorted(clients.items(), key=lambda item: item[0].encode()))
    unsigned = Roster(version, ordered, identity_of(consortium_private), b"")
    signature = sign(consortium_private, "roster", unsigned.digest)
    return _checked(Roster(version, ordered, unsigned.consortium, signature))


def write_roster(roster: Roster) -> str:
    """The roster as one JSON object, for a file."""
    value = {
        "version": roster.version,
        "clients": {name: key.hex() for name, key in roster.clients},
        "consortium": roster.consortium.hex(),
        "signature": roster.signature.hex(),
    }
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def read_roster(text: str) -> Roster:
    """A roster from its JSON, every field and the signature checked. Raises ValueError."""
    try:
        value = json.loads(text, object_pairs_hook=_no_repeats)
        if not isinstance(value, dict) or set(value) != _FIELDS:
            raise ValueError(f"it must have exactly the fields {', '.join(sorted(_FIELDS))}")
        clients = {name: bytes.fromhex(key) for name, key in value["clients"].items()}
        ordered = tuple(sorted(clients.items(), key=lambda item: item[0].encode()))
        keys = bytes.fromhex(value["consortium"]), bytes.fromhex(value["signature"])
        return _checked(Roster(value["version"], ordered, *keys))
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError("a field has a wrong type") from error


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def _checked(roster: Roster) -> Roster:
    keys = [key for _, key in roster.clients]
    if type(roster.version) is not int or not 1 <= roster.version < 2**63:
        raise ValueError("the version must be a whole number from 1")
    if not 1 <= len(keys) <= MAX_CLIENTS:
        raise ValueError(f"it must name 1 to {MAX_CLIENTS} clients")
    if not all(0 < len(name) <= 200 and name.isprintable() for name, _ in roster.clients):
        raise ValueError("a name must have 1 to 200 printable characters")
    if any(len(key) != KEY_BYTES for key in [*keys, roster.consortium]):
        raise ValueError(f"a key must have {KEY_BYTES} bytes")
    if len(set(keys)) != len(keys):
        raise ValueError("two clients have the same key; one key belongs to one machine")
    if len(roster.signature) != SIGNATURE_BYTES or not verify(
        roster.consortium, roster.signature, "roster", roster.digest
    ):
        raise ValueError("the consortium's signature does not fit")
    return roster


def fingerprint(key: bytes) -> str:
    """A key's fingerprint to read over the phone: 12 groups of five digits, 199 bits.

    H("fingerprint", key) as a decimal number, as Signal's safety numbers are.
    """
    number = int.from_bytes(hash_of("fingerprint", key), "big") % 10**60
    digits = f"{number:060d}"
    return " ".join(digits[i : i + 5] for i in range(0, 60, 5))
