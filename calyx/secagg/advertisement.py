"""Stage 0's message: a client's fresh public keys and commitment, signed; and the root of a set of them.

`calyx-secagg/1` §3: adv = c_pub ‖ s_pub ‖ com; root = H("root", ctx, u1, adv1, …), ascending.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from calyx.secagg.encoding import enc, hash_of, rows_from_bytes, rows_to_bytes
from calyx.secagg.keys import KEY_BYTES, SIGNATURE_BYTES, Identity, Pairs, verify

ADVERTISEMENT_BYTES = 3 * KEY_BYTES
SIGNED_BYTES = ADVERTISEMENT_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True)
class Advertisement:
    """What a client shows of one context's keys; the signature is over ("adv", ctx, u, adv)."""

    share_public: bytes  # c_pub: seals shares
    mask_public: bytes  # s_pub: agrees on masks
    commitment: bytes  # com = H("com", ctx, b)
    signature: bytes

    @property
    def body(self) -> bytes:
        """adv, 96 bytes."""
        return self.share_public + self.mask_public + self.commitment

    def to_bytes(self) -> bytes:
        """adv and its signature, 160 bytes."""
        return self.body + self.signature


@dataclass(frozen=True, eq=False)
class Gathering:
    """U0 of a context, and what of it all its members encode alike."""

    ctx: bytes
    advertised: Mapping[int, Advertisement]  # ascending

    @property
    def n(self) -> int:
        """|U0|."""
        return len(self.advertised)

    @cached_property
    def root(self) -> bytes:
        """H("root", …), 32 bytes."""
        return root_of(self.ctx, self.advertised)

    @cached_property
    def share_pairs(self) -> Pairs:
        """Of the keys that seal shares."""
        return Pairs({u: adv.share_public for u, adv in self.advertised.items()}, self.root)

    @cached_property
    def mask_pairs(self) -> Pairs:
        """Of the keys that agree on masks."""
        return Pairs({u: adv.mask_public for u, adv in self.advertised.items()}, self.root)

    @cached_property
    def bound(self) -> bytes:
        """enc(ctx, root)."""
        return enc(self.ctx, self.root)


def commit(ctx: bytes, seed: bytes) -> bytes:
    """com = H("com", ctx, b)."""
    return hash_of("com", ctx, seed)


def make(identity: Identity, ctx: bytes, u: int, body: bytes) -> Advertisement:
    """Sign adv with this client's identity key."""
    return _parse(body + identity.sign("adv", ctx, u, body))


def read(data: bytes, ctx: bytes, u: int, key: bytes) -> Advertisement | None:
    """The advertisement of client `u`, or None where it is malformed or not signed by `key`."""
    if len(data) != SIGNED_BYTES:
        return None
    advertised = _parse(data)
    return advertised if verify(key, advertised.signature, "adv", ctx, u, advertised.body) else None


def _parse(data: bytes) -> Advertisement:
    return Advertisement(data[:32], data[32:64], data[64:96], data[96:])


def has_repeats(advertisements: Mapping[int, Advertisement]) -> bool:
    """Whether two of them share a key or a commitment, or one uses a key twice."""
    parts = [
        part
        for adv in advertisements.values()
        for part in (adv.share_public, adv.mask_public, adv.commitment)
    ]
    return len(set(parts)) < len(parts)


def root_of(ctx: bytes, advertisements: Mapping[int, Advertisement]) -> bytes:
    """What U0 is, to all who see the same: 32 bytes."""
    flat = [item for u in sorted(advertisements) for item in (u, advertisements[u].body)]
    return hash_of("root", ctx, *flat)


def to_rows(advertisements: Mapping[int, Advertisement]) -> bytes:
    """Stage 1's request."""
    return rows_to_bytes((u, advertisements[u].to_bytes()) for u in sorted(advertisements))


def rows_of(data: bytes) -> dict[int, bytes]:
    """The signed advertisements of a request, unverified. Raises ValueError."""
    return dict(rows_from_bytes(data, SIGNED_BYTES))
