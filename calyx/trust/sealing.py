"""Bytes for one reader: sealed by whoever has the public key, read by whoever has the private one.

HPKE in its base mode (RFC 9180), with X25519, HKDF-SHA256 and AES-256-GCM, as `cryptography` has it.
Whoever seals cannot read what was sealed before. It does not say who has sealed something. Keys as files
are `calyx.trust.recipients`'.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Sealer:
    """Seals for one public key."""

    def __init__(self, public: bytes) -> None:
        """`public` is an X25519 key, 32 bytes."""
        self._public = X25519PublicKey.from_public_bytes(public)

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        """48 bytes more than `plain`; they open only with the same `bound`, which is not sent."""
        return _SUITE.encrypt(plain, self._public, bound)


def unseal(sealed: bytes, private: bytes, bound: bytes) -> bytes | None:
    """What was sealed for this X25519 key (32 bytes) and bound so, or None where it was not."""
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private), bound)
    except (InvalidTag, ValueError):
        return None
