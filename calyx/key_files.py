"""Identity keys, public keys and rosters as files. It draws keys, and signs nothing.

Private keys are PKCS#8 PEM, readable by their owner only, and never leave the machine that made
them; a public key is one JSON object with the name that goes with it.
"""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from calyx.errors import UserError
from calyx.files import sync_folder, write_atomically
from calyx.secagg.keys import KEY_BYTES, identity_of
from calyx.secagg.roster import Roster, read_roster

MAX_BYTES = 2**28  # of a roster; a key has a few hundred
_PUBLIC_FIELDS = {"kind", "name", "key"}
_PUBLIC_KIND = "calyx public key"


@dataclass(frozen=True)
class PublicKey:
    """A name and its Ed25519 public key."""

    name: str
    key: bytes


def check_name(name: str) -> None:
    """Refuse a name that is no plain file name. Raises UserError."""
    plain = name.isprintable() and not set(name) & set('/\\:*?"<>|') and name[:1] != "."
    if not (0 < len(name.encode()) <= 200 and plain and name == name.strip()):
        raise UserError(
            f"The name {name!r} cannot be used: take 1 to 200 printable characters that are fit for "
            "a file name."
        )


def make_key(name: str, folder: Path) -> PublicKey:
    """Draw a key; write NAME.key (0600) and NAME.pub in `folder`.

    Raises UserError where one of the two is there already: a key is never replaced.
    """
    check_name(name)
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    for path in (private, public):
        if path.exists():
            raise UserError(f"{path} exists, and keys are not replaced; move it away first.")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made = PublicKey(name, key.public_key().public_bytes_raw())
    text = json.dumps({"kind": _PUBLIC_KIND, "name": name, "key": made.key.hex()}, indent=2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_private(private, pem)
        write_atomically(public, (text + "\n").encode())
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.") from None
    return made


def _write_private(path: Path, data: bytes) -> None:
    """Its mode is 0600 from the first byte on, and its name appears when it is whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)  # unlike a rename, it never replaces a key
    finally:
        beside.unlink()
    sync_folder(path.parent)


def is_private(path: Path) -> bool:
    """Whether nobody but its owner may read or write the file."""
    return not stat.S_IMODE(path.stat().st_mode) & 0o077


def read_identity(path: Path) -> bytes:
    """The Ed25519 private key, 32 bytes. Raises UserError."""
    data = _read(path, "private key")
    if not is_private(path):
        raise UserError(f"{path} can be read by others; make it yours alone: chmod 600 {path}")
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{path} is no Ed25519 private key; make one with `calyx keys identity`.")
    return key.private_bytes_raw()


def read_public(path: Path) -> PublicKey:
    """A name and its public key. Raises UserError."""
    try:
        value = json.loads(_read(path, "public key"))
        if isinstance(value, dict) and set(value) == _PUBLIC_FIELDS:
            key = bytes.fromhex(value["key"])
            if value["kind"] == _PUBLIC_KIND and len(key) == KEY_BYTES:
                check_name(str(value["name"]))
                return PublicKey(str(value["name"]), key)
    except (ValueError, TypeError, RecursionError):
        pass
    raise UserError(
        f"{path} is no public key of Calyx; ask the site for the .pub file that `calyx keys` wrote."
    )


def read_roster_file(path: Path) -> Roster:
    """A roster whose signature fits the consortium's key that it names. Raises UserError."""
    try:
        return read_roster(_read(path, "roster").decode())
    except ValueError as error:
        raise UserError(
            f"{path} is no sound roster: {error}; ask the consortium for it again."
        ) from None


def public_of(path: Path) -> bytes:
    """The public half of a private key's file. Raises UserError."""
    return identity_of(read_identity(path))


def _read(path: Path, what: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is too large for a {what}.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"The {what} {path} cannot be read: {error.strerror}.") from None
