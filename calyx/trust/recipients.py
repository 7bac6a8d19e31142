"""Keys of those whom a release is encrypted to: X25519 keys as files.

A private key is PKCS#8 PEM, readable by its owner only, a public one is PEM too; before the block stand
lines that say what it is for, as in calyx/trust/key_files.py. Which of a release's bytes they open says
calyx/releases/sealing.py.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from calyx.errors import UserError
from calyx.files.outputs import show_path, write_whole
from calyx.trust.key_files import (
    MAX_KEY_BYTES,
    PRIVATE_MODE,
    check_name,
    mend,
    read_bytes,
    refuse_existing,
)

_HEADER = re.compile(r"^kind: recipient\r?\nname: (.+?)\r?$", re.MULTILINE)
_PRIVATE_ADVICE = (
    "Private key of Calyx. It opens what is encrypted to it: never copy it into a mail."
)
_PUBLIC_ADVICE = "Public key of Calyx, to which releases are encrypted."
_CURE = "make one with `calyx keys recipient NAME`"
LEAST_PASSPHRASE = 12  # characters


@dataclass(frozen=True)
class Recipient:
    """A public key to encrypt to, and what its owner calls it."""

    name: str
    key: bytes  # X25519, 32 bytes


def make_recipient(name: str, folder: Path) -> Recipient:
    """Draw a key; write NAME.key (0600) and NAME.pub in `folder`, both or neither.

    Raises UserError where one of the two is there already: a key is never replaced.
    """
    check_name(name, "signer")
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    refuse_existing((private, public))
    key = X25519PrivateKey.generate()
    about = f"kind: recipient\nname: {name}\n"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    open_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{show_path(folder)} cannot be made: {error.strerror}.") from None
    write_whole(private, f"{_PRIVATE_ADVICE}\n{about}".encode() + pem, PRIVATE_MODE)
    try:
        write_whole(public, f"{_PUBLIC_ADVICE}\n{about}".encode() + open_pem)
    except BaseException:
        private.unlink()  # nobody has seen its public half
        raise
    return Recipient(name, key.public_key().public_bytes_raw())


def is_recipient(data: bytes) -> bool:
    """Whether the bytes of a key's file say that it is a recipient's."""
    return _HEADER.search(data[:MAX_KEY_BYTES].decode(errors="replace")) is not None


def read_recipient(path: Path) -> Recipient:
    """A public key to encrypt to. Raises UserError."""
    data, _ = read_bytes(path, "public key", MAX_KEY_BYTES)
    name = _name_in(path, data)
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, X25519PublicKey):
        raise UserError(f"{show_path(path)} is no public key to encrypt to: {_CURE}.")
    return Recipient(name, key.public_bytes_raw())


def read_private(path: Path) -> bytes:
    """The private key of a recipient, 32 bytes. Raises UserError, also where others may read the file."""
    data, mode = read_bytes(path, "private key", MAX_KEY_BYTES)
    _name_in(path, data)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise UserError(f"{show_path(path)} is damaged, or no private key that opens a release.")
    _check_own(path, mode)
    return key.private_bytes_raw()


def read_passphrase(path: Path) -> bytes:
    """The first line of a file that only its owner may read, as UTF-8. Raises UserError."""
    data, mode = read_bytes(path, "passphrase", MAX_KEY_BYTES)
    _check_own(path, mode)
    line = data.splitlines()[0] if data else b""
    try:
        length = len(line.decode())
    except UnicodeDecodeError:
        raise UserError(f"{show_path(path)} is not text in UTF-8.") from None
    if length < LEAST_PASSPHRASE:
        raise UserError(
            f"The passphrase in {show_path(path)} has {length} characters, and must have {LEAST_PASSPHRASE} "
            "at least: whoever has the release can try as many as they like."
        )
    return line


def _name_in(path: Path, data: bytes) -> str:
    header = _HEADER.search(data.decode(errors="replace"))
    if header is None:
        raise UserError(f"{show_path(path)} is no key of a recipient: {_CURE}.")
    check_name(header[1], "signer")
    return header[1]


def _check_own(path: Path, mode: int) -> None:
    if mode & ~PRIVATE_MODE:
        raise UserError(
            f"{show_path(path)} has mode {mode:04o}, wider than 0600; make it its owner's alone with "
            f"`{mend(path)}`."
        )
