"""Keys of the protocol: agreement, derivation, signatures, sealed shares. `calyx-secagg/1` §4, "Keys".

Every primitive is `cryptography`'s; this file only says what goes into each, and in which order.
Keys are raw bytes: X25519 and Ed25519 keys 32, signatures 64, mask keys 16 or 32.
"""

from collections.abc import Mapping
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from calyx.secagg.blackboard import compute_for_both, is_signed, note_signed
from calyx.secagg.encoding import PROTOCOL, Item, enc

KEY_BYTES = 32
SIGNATURE_BYTES = 64
TAG_BYTES = 16
_NONCE = bytes(12)  # every sealing key is used once
_MASK, _SHARE = enc("mask"), enc("share")


class Pairs:
    """What a key of two clients is bound to, of all pairs of one context: each part is encoded once."""

    def __init__(self, publics: Mapping[int, bytes], root: bytes) -> None:
        self._indices = {u: enc(u) for u in publics}
        self._publics = {u: enc(public) for u, public in publics.items()}
        self._root = enc(root)

    def of(self, u: int, v: int) -> bytes:
        """enc(lo, hi, pk_lo, pk_hi, root), the same from both sides."""
        low, high = (u, v) if u < v else (v, u)
        indices, publics = self._indices, self._publics
        return b"".join((indices[low], indices[high], publics[low], publics[high], self._root))

    def direction(self, sender: int, receiver: int) -> bytes:
        """enc(sender, receiver)."""
        return self._indices[sender] + self._indices[receiver]


def public_of(private: bytes) -> bytes:
    """The X25519 public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def identity_of(private: bytes) -> bytes:
    """The Ed25519 public key of a private one."""
    return Identity(private).public


class Agreement:
    """An X25519 key in one context, ready to agree with several public ones."""

    def __init__(self, private: bytes, public: bytes, ctx: bytes) -> None:
        self._private, self._public, self._ctx = private, public, ctx

    @cached_property
    def _key(self) -> X25519PrivateKey:
        # Reading a private key costs as much as an exchange: once for all peers, if for any.
        return X25519PrivateKey.from_private_bytes(self._private)

    def with_public(self, public: bytes) -> bytes:
        """prk = HKDF-Extract(salt = ctx, X25519(private, public)), 32 bytes.

        Raises ValueError for a public key that gives the all-zero result.
        """
        mine = self._public
        both = mine + public if mine < public else public + mine
        return compute_for_both(b"agreed" + self._ctx + both, lambda: self._agree(public))

    def _agree(self, public: bytes) -> bytes:
        secret = self._key.exchange(X25519PublicKey.from_public_bytes(public))
        return extract(self._ctx, secret)


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869 §2.2)."""
    return HKDF.extract(SHA256(), salt, secret)


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 §2.3)."""
    return HKDFExpand(SHA256(), length, info).derive(prk)


def mask_key(prk: bytes, pair: bytes, length: int) -> bytes:
    """The key of the mask that a pair (of `Pairs.of`) shares; `length` is 16 or 32 bytes."""
    return expand(prk, _MASK + pair, length)


def self_mask_key(seed: bytes, ctx: bytes, index: int, root: bytes) -> tuple[bytes, bytes]:
    """Of client `index`: the prk of b_u, and the info of its self mask (§4)."""
    return extract(ctx, seed), enc("self", index, root)


def share_key(prk: bytes, pair: bytes, direction: bytes) -> bytes:
    """The key of a pair's one ciphertext in this direction (of `Pairs.direction`), 32 bytes."""
    return expand(prk, _SHARE + pair + direction, 32)


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    """AES-256-GCM under a key that is used once; `bound` is authenticated and not sent."""
    return AESGCM(key).encrypt(_NONCE, plain, bound)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes | None:
    """The plaintext, or None where it does not open."""
    try:
        return AESGCM(key).decrypt(_NONCE, sealed, bound)
    except InvalidTag:
        return None


class Identity:
    """An Ed25519 key that signs. Reading it costs as much as signing: once for who signs often."""

    def __init__(self, private: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, tag: str, *items: Item) -> bytes:
        """An Ed25519 signature over enc("calyx-secagg/1/sig/" + tag, …) (§3)."""
        message = _signed(tag, *items)
        signature = self._private.sign(message)
        note_signed(_proof(self.public, signature, message))
        return signature


def sign(private: bytes, tag: str, *items: Item) -> bytes:
    """The signature of `Identity.sign`."""
    return Identity(private).sign(tag, *items)


def verify(public: bytes, signature: bytes, tag: str, *items: Item) -> bool:
    """Whether `signature` is one over the same items, made with the private key of `public`."""
    return _verify(public, signature, _signed(tag, *items))


def _signed(tag: str, *items: Item) -> bytes:
    return enc(f"{PROTOCOL}/sig/{tag}", *items)


def _proof(public: bytes, signature: bytes, message: bytes) -> bytes:
    return b"".join((b"signed", public, signature, message))


# The clients of one process check the same signatures. Nothing secret is kept.
@lru_cache(maxsize=8192)
def _verify(public: bytes, signature: bytes, message: bytes) -> bool:
    proof = _proof(public, signature, message)
    if is_signed(proof):
        return True
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    note_signed(proof)
    return True
