"""Keys of the protocol: agreement, derivation, signatures, sealed shares. `calyx-secagg/1` §4, "Keys".

Every primitive is `cryptography`'s; this file only says what goes into each, and in which order.
Keys are raw bytes: X25519 and Ed25519 keys 32, signatures 64, mask keys 16 or 32.
"""

from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from calyx.secagg.encoding import PROTOCOL, Item, enc

KEY_BYTES = 32
SIGNATURE_BYTES = 64
TAG_BYTES = 16
_NONCE = bytes(12)  # every sealing key is used once


@dataclass(frozen=True)
class Pair:
    """Two clients and their public keys, the lower index first; `root` binds them to one context."""

    low: int
    high: int
    low_public: bytes
    high_public: bytes
    root: bytes


def pair_of(one: tuple[int, bytes], other: tuple[int, bytes], root: bytes) -> Pair:
    """The pair of two (index, public key), in either order."""
    (low, low_public), (high, high_public) = sorted([one, other])
    return Pair(low, high, low_public, high_public, root)


def public_of(private: bytes) -> bytes:
    """The X25519 public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def identity_of(private: bytes) -> bytes:
    """The Ed25519 public key of a private one."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


class Agreement:
    """An X25519 private key in one context, ready to agree with several public ones."""

    def __init__(self, private: bytes, ctx: bytes) -> None:
        # Reading a private key costs more than an exchange: once for all peers.
        self._private, self._ctx = X25519PrivateKey.from_private_bytes(private), ctx

    def with_public(self, public: bytes) -> bytes:
        """prk = HKDF-Extract(salt = ctx, X25519(private, public)), 32 bytes.

        Raises ValueError for a public key that gives the all-zero result.
        """
        secret = self._private.exchange(X25519PublicKey.from_public_bytes(public))
        return extract(self._ctx, secret)


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869 §2.2)."""
    return HKDF.extract(SHA256(), salt, secret)


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 §2.3)."""
    return HKDFExpand(SHA256(), length, info).derive(prk)


def mask_key(prk: bytes, pair: Pair, length: int) -> bytes:
    """The key of the mask that a pair shares; `length` is 16 or 32 bytes."""
    return expand(prk, _info("mask", pair), length)


def self_mask_key(seed: bytes, ctx: bytes, index: int, root: bytes) -> tuple[bytes, bytes]:
    """Of client `index`: the prk of b_u, and the info of its self mask (§4)."""
    return extract(ctx, seed), enc("self", index, root)


def share_key(prk: bytes, pair: Pair, sender: int, receiver: int) -> bytes:
    """The key of the one ciphertext from `sender` to `receiver`, 32 bytes."""
    return expand(prk, _info("share", pair, sender, receiver), 32)


def _info(tag: str, pair: Pair, *direction: int) -> bytes:
    return enc(tag, pair.low, pair.high, pair.low_public, pair.high_public, pair.root, *direction)


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    """AES-256-GCM under a key that is used once; `bound` is authenticated and not sent."""
    return AESGCM(key).encrypt(_NONCE, plain, bound)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes | None:
    """The plaintext, or None where it does not open."""
    try:
        return AESGCM(key).decrypt(_NONCE, sealed, bound)
    except InvalidTag:
        return None


def sign(private: bytes, tag: str, *items: Item) -> bytes:
    """An Ed25519 signature over enc("calyx-secagg/1/sig/" + tag, …) (§3)."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(_signed(tag, *items))


def verify(public: bytes, signature: bytes, tag: str, *items: Item) -> bool:
    """Whether `signature` is one over the same items, made with the private key of `public`."""
    return _verify(public, signature, _signed(tag, *items))


def _signed(tag: str, *items: Item) -> bytes:
    return enc(f"{PROTOCOL}/sig/{tag}", *items)


# A simulation's clients share a process and check the same signatures. Nothing secret is kept.
@lru_cache(maxsize=8192)
def _verify(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
