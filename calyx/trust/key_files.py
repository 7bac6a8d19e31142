"""Identity keys, public keys and rosters as files. It draws keys, and signs no roster.

Private keys are PKCS#8 PEM, readable by their owner only, and never leave the machine that made
them. Lines before the PEM block say what the key is for (RFC 7468 §2 permits such text), so that a
site's key cannot sign rosters, nor the consortium's stand for a site. A public key is one JSON
object, signed by its own private key: a damaged one, or one under another name, is noticed.
"""

import json
import os
import re
import shlex
import stat
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from calyx.errors import UserError
from calyx.files.outputs import show_path, write_whole
from calyx.files.plain import plain, strict_json
from calyx.secagg.keys import KEY_BYTES, identity_of, sign, verify
from calyx.secagg.roster import Roster, read_roster

Kind = Literal["identity", "consortium", "log", "signer"]
CONSORTIUM = "consortium"  # also the name of its key, which no site may have
OWNERS: dict[Kind, str] = {
    "identity": "a site's identity",
    "consortium": "the consortium's",
    "log": "a log's",
    "signer": "a release signer's",
}
MAX_KEY_BYTES = 2**12
MAX_ROSTER_BYTES = 2**28
PRIVATE_MODE = 0o600
_PUBLIC_FIELDS = {"kind", "name", "key", "signature"}
_PEM = b"-----BEGIN "
_HEADER = re.compile(rf"^kind: ({'|'.join(OWNERS)})\r?\nname: (.+?)\r?$", re.MULTILINE)
_ADVICE = (
    "Private key of Calyx. It stays on this machine: never copy it into a mail or a repository."
)


@dataclass(frozen=True)
class PublicKey:
    """A public key, whom it stands for, and in which role."""

    kind: Kind
    name: str
    key: bytes


@dataclass(frozen=True)
class PrivateKey:
    """A private key and its public half; `is_exposed` if others than its owner have rights on it."""

    public: PublicKey
    raw: bytes = field(repr=False)
    is_exposed: bool = False


def check_name(name: str, kind: Kind = "identity") -> None:
    """Refuse a name that a roster or a file cannot carry. Raises UserError."""
    is_plain = name.isprintable() and not set(name) & set("/\\") and name[:1] not in (".", "-")
    if not is_plain or name != name.strip() or not 0 < len(os.fsencode(name)) <= 200:
        raise UserError(
            f"The name {name!r} cannot be used: take 1 to 200 printable characters (bytes of UTF-8) "
            "without / and \\, that do not start with a dot or a hyphen, or end in a space."
        )
    if not unicodedata.is_normalized("NFC", name):
        raise UserError(f"The name {name!r} has accents as extra characters; type it again in NFC.")
    if (name == CONSORTIUM) != (kind == "consortium"):
        raise UserError(f"The name {CONSORTIUM!r} is the consortium's own; give this site another.")


def make_key(kind: Kind, name: str, folder: Path) -> PublicKey:
    """Draw a key; write NAME.key (0600) and NAME.pub in `folder`, both or neither.

    Raises UserError where one of the two is there already: a key is never replaced.
    """
    check_name(name, kind)
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    refuse_existing((private, public))
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_key = PublicKey(kind, name, key.public_key().public_bytes_raw())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{show_path(folder)} cannot be made: {error.strerror}.") from None
    header = f"{_ADVICE}\nkind: {kind}\nname: {name}\n".encode()
    write_whole(private, header + pem, PRIVATE_MODE)
    try:
        write_whole(public, _public_text(public_key, key.private_bytes_raw()).encode())
    except BaseException:
        private.unlink()  # nobody has seen its public half
        raise
    return public_key


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise UserError where one of the files of new keys is there already, before any is written."""
    for path in paths:
        if os.path.lexists(path):
            raise UserError(
                f"{show_path(path)} exists, and keys are not replaced; move it away first."
            )


def _public_text(public: PublicKey, private: bytes) -> str:
    signature = sign(private, "public-key", public.kind, public.name)
    value = {"kind": public.kind, "name": public.name, "key": public.key.hex()}
    return strict_json(value | {"signature": signature.hex()}, indent=2) + "\n"


def read_identity(path: Path) -> bytes:
    """A site's Ed25519 private key, 32 bytes. Raises UserError."""
    return read_own(path, "identity", "make a site's with `calyx keys identity NAME`")


def read_consortium(path: Path) -> bytes:
    """The consortium's Ed25519 private key, 32 bytes. Raises UserError."""
    return read_own(path, "consortium", "make the consortium's with `calyx keys consortium`")


def read_own(path: Path, kind: Kind, cure: str) -> bytes:
    """A private key of this kind, 32 bytes; `cure` says how one is made. Raises UserError."""
    data, mode = read_bytes(path, "private key", MAX_KEY_BYTES)
    private = parse_private(path, data, mode, cure)
    if private.public.kind != kind:
        raise UserError(
            f"{show_path(path)} is {OWNERS[private.public.kind]} key, and {OWNERS[kind]} is needed; "
            f"name another file, or {cure}."
        )
    if private.is_exposed:
        raise UserError(
            f"{show_path(path)} has mode {mode:04o}, wider than 0600; make it its owner's alone with "
            f"`{mend(path)}`, or make a new key if others may have read it."
        )
    return private.raw


def mend(path: Path) -> str:
    """The command that makes a file its owner's alone."""
    return f"chmod 600 {shlex.quote(show_path(path))}"


def parse_private(path: Path, data: bytes, mode: int, cure: str) -> PrivateKey:
    """The private key in the bytes of a file, whatever its role and mode. Raises UserError."""
    if not data.strip():
        raise UserError(f"{show_path(path)} is empty; restore it from a copy, or {cure}.")
    before, mark, _ = data.partition(_PEM)
    if not mark:
        raise UserError(f"{show_path(path)} is no private key; {cure}.")
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise UserError(
            f"{show_path(path)} is locked with a passphrase, which Calyx cannot open; {cure}."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UserError(
            f"{show_path(path)} is damaged, or no private key; restore it from a copy, or {cure}."
        ) from None
    header = _HEADER.search(before.decode(errors="replace"))
    if not isinstance(key, Ed25519PrivateKey) or header is None:
        raise UserError(f"{show_path(path)} is a private key, but none that Calyx made; {cure}.")
    kind = next(one for one in OWNERS if one == header[1])
    _check_name_in(path, header[2], kind)
    raw = key.private_bytes_raw()
    return PrivateKey(PublicKey(kind, header[2], identity_of(raw)), raw, bool(mode & ~PRIVATE_MODE))


def read_public(path: Path) -> PublicKey:
    """A site's name and public key. Raises UserError, also for a key of another kind."""
    public = parse_public(path, read_bytes(path, "public key", MAX_KEY_BYTES)[0])
    if public.kind != "identity":
        raise UserError(
            f"{show_path(path)} is {OWNERS[public.kind]} key, and no site's; leave it out."
        )
    return public


def read_public_of(path: Path, kind: Kind) -> PublicKey:
    """A public key of this kind, and its name. Raises UserError."""
    public = parse_public(path, read_bytes(path, "public key", MAX_KEY_BYTES)[0])
    if public.kind != kind:
        raise UserError(
            f"{show_path(path)} is {OWNERS[public.kind]} key, and {OWNERS[kind]} is needed."
        )
    return public


def parse_public(path: Path, data: bytes) -> PublicKey:
    """The public key in the bytes of a file, whatever its role. Raises UserError."""
    cure = "ask the site for the .pub file that `calyx keys` wrote"
    try:
        value = json.loads(data.decode())
        if not isinstance(value, dict) or set(value) != _PUBLIC_FIELDS:
            raise TypeError
        kind, name = value["kind"], value["name"]
        key, signature = bytes.fromhex(value["key"]), bytes.fromhex(value["signature"])
        if kind not in OWNERS or not isinstance(name, str):
            raise TypeError
        fits = len(key) == KEY_BYTES and verify(key, signature, "public-key", kind, name)
    except (ValueError, TypeError, RecursionError):
        raise UserError(f"{show_path(path)} is no public key of Calyx; {cure}.") from None
    if not fits:
        raise UserError(
            f"{show_path(path)} is damaged or altered: its signature does not fit; {cure}."
        )
    _check_name_in(path, name, kind)
    return PublicKey(kind, name, key)


def _check_name_in(path: Path, name: str, kind: Kind) -> None:
    try:
        check_name(name, kind)
    except UserError as error:
        raise UserError(f"{show_path(path)} holds a name that is refused. {error}") from None


def read_roster_file(path: Path) -> Roster:
    """A roster whose signature fits the consortium's key that it names. Raises UserError.

    Whether that is the right consortium, only its fingerprint tells.
    """
    return parse_roster(path, read_bytes(path, "roster", MAX_ROSTER_BYTES)[0])


def parse_roster(path: Path, data: bytes) -> Roster:
    """The roster in the bytes of a file. Raises UserError."""
    try:
        return read_roster(data.decode())
    except (UnicodeError, json.JSONDecodeError):
        reason = "it is damaged, or another kind of file"
    except ValueError as error:
        reason = str(error)
    raise UserError(
        f"{show_path(path)} is no sound roster: {reason}; ask the consortium for it again."
    )


def read_any(path: Path) -> PrivateKey | PublicKey | Roster:
    """Whatever a file of `calyx keys` holds, told by its content. Raises UserError."""
    data, mode = read_bytes(path, "key or roster", MAX_ROSTER_BYTES)
    if _PEM in data[:MAX_KEY_BYTES]:
        return parse_private(path, data[:MAX_KEY_BYTES], mode, "see `calyx keys --help`")
    try:
        fields = json.loads(data.decode())
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict) and "kind" in fields:
        return parse_public(path, data)
    if isinstance(fields, dict) and "consortium" in fields:
        return parse_roster(path, data)
    raise UserError(f"{show_path(path)} is damaged, or no key or roster; see `calyx keys --help`.")


def read_bytes(path: Path, what: str, limit: int) -> tuple[bytes, int]:
    """Content and mode of one regular file of at most `limit` bytes. Raises UserError."""
    try:
        with open(path, "rb", opener=plain) as file:
            state = os.fstat(file.fileno())
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise UserError(f"There is no {what} {show_path(path)}; give the path of one.") from None
    except IsADirectoryError:
        raise UserError(f"{show_path(path)} is a folder; give the file of a {what}.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its path is none"
        raise UserError(f"The {what} {show_path(path)} cannot be read: {reason}.") from None
    if len(data) > limit:
        raise UserError(f"{show_path(path)} is larger than any {what}; give the right file.")
    return data, stat.S_IMODE(state.st_mode)
