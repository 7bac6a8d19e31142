"""Bytes for one reader: sealed by whoever has the public key, read by whoever has the private one.

HPKE in its base mode (RFC 9180), with X25519, HKDF-SHA256 and AES-256-GCM, as `cryptography` has it.
Whoever seals cannot read what was sealed before. It does not say who has sealed something.

A private key is PKCS#8 PEM, 0600, with its kind and name in lines before it, as those of
`calyx.trust.key_files`; a public one is a JSON object with a check sum, so that a damaged one is noticed.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from calyx.errors import UserError
from calyx.files.outputs import show_path, write_whole
from calyx.files.plain import strict_json
from calyx.secagg.encoding import enc
from calyx.secagg.keys import KEY_BYTES
from calyx.trust.key_files import (
    MAX_KEY_BYTES,
    PRIVATE_MODE,
    check_name,
    mend,
    read_bytes,
    refuse_existing,
)

ReaderKind = Literal["rows"]
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_HEADER = re.compile(rb"^kind: (rows)\r?\nname: (.+?)\r?$", re.MULTILINE)
_FIELDS = {"kind", "name", "key", "check"}


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


def make_reader(kind: ReaderKind, name: str, folder: Path) -> bytes:
    """Draw a key; write NAME.key (0600) and NAME.pub in `folder`, both or neither; returns the public key.

    Raises UserError where one of the two is there already: a key is never replaced.
    """
    check_name(name)
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    refuse_existing((private, public))
    key = X25519PrivateKey.generate()
    raw = key.public_key().public_bytes_raw()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{show_path(folder)} cannot be made: {error.strerror}.") from None
    advice = "Private key of Calyx. Whoever has it reads what was sealed for it."
    header = f"{advice}\nkind: {kind}\nname: {name}\n".encode()
    write_whole(private, header + pem, PRIVATE_MODE)
    fields = {"kind": kind, "name": name, "key": raw.hex(), "check": _check(kind, name, raw)}
    try:
        write_whole(public, (strict_json(fields, indent=2) + "\n").encode())
    except BaseException:
        private.unlink()  # nobody has sealed anything for it
        raise
    return raw


def _check(kind: str, name: str, raw: bytes) -> str:
    return hashlib.sha256(enc("calyx-reader-key/1", kind, name, raw)).hexdigest()


def read_reader(path: Path, kind: ReaderKind) -> bytes:
    """The public key in a file NAME.pub, 32 bytes. Raises UserError."""
    data, _ = read_bytes(path, "public key", MAX_KEY_BYTES)
    cure = f"give the .pub file that `calyx keys {kind} NAME` wrote"
    try:
        fields = json.loads(data.decode())
        if not isinstance(fields, dict) or set(fields) != _FIELDS or fields["kind"] != kind:
            raise TypeError
        raw = bytes.fromhex(fields["key"])
        fits = len(raw) == KEY_BYTES and fields["check"] == _check(kind, fields["name"], raw)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{show_path(path)} is no public key of the kind {kind}; {cure}.") from None
    if not fits:
        raise UserError(f"{show_path(path)} is damaged: its check sum does not fit; {cure}.")
    return raw


def read_reader_key(path: Path, kind: ReaderKind) -> bytes:
    """The private key in a file NAME.key, 32 bytes. Raises UserError, also where others may read it."""
    data, mode = read_bytes(path, "private key", MAX_KEY_BYTES)
    cure = f"give the .key file that `calyx keys {kind} NAME` wrote"
    header = _HEADER.search(data.partition(b"-----BEGIN ")[0])
    try:
        key = load_pem_private_key(data, password=None) if header else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if header is None or not isinstance(key, X25519PrivateKey) or header[1] != kind.encode():
        raise UserError(f"{show_path(path)} is no private key of the kind {kind}; {cure}.")
    if mode & ~PRIVATE_MODE:
        raise UserError(
            f"{show_path(path)} has mode {mode:04o}, wider than 0600; make it its owner's alone with "
            f"`{mend(path)}`, or make a new key if others may have read it."
        )
    return key.private_bytes_raw()
