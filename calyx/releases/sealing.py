"""A release that is kept encrypted: its files sealed for some keys or passphrases, its manifest readable.

`sealed.json` holds one random key K, wrapped for each recipient (HPKE, RFC 9180) or passphrase (scrypt,
RFC 7914); each NAME lies there as NAME.sealed. A sealed file is chunks of AES-256-GCM, numbered, the last one
marked, under a key of its own that follows from K, the file's name, and the hashes of manifest.json and
sealed.json: chunks that are cut off, moved, taken from another file or release, and a header that was
changed, do not open. Signatures stay over the plaintext's hashes. Every primitive is `cryptography`'s. See
docs/decisions/0083.

Source: chunks as in STREAM, Hoang, Reyhanitabar, Rogaway, Vizár 2015, and age-encryption.org/v1.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import Field, StringConstraints

from calyx.config.section import config, parse
from calyx.errors import ConfigError, printable
from calyx.files.foreign import parse_json
from calyx.releases.manifest import SEALED, SEALED_END, Unverified, digest_of
from calyx.secagg.encoding import enc
from calyx.secagg.keys import KEY_BYTES, TAG_BYTES, expand, public_of, seal, unseal
from calyx.trust.recipients import Recipient, read_passphrase, read_private
from calyx.trust.sealing import Sealer
from calyx.trust.sealing import unseal as unseal_with

MOST_HEADER_BYTES = 2**16
MOST_RECIPIENTS = 20
CHUNK_BYTES = 2**16
_FORMAT: Literal["calyx-sealed/1"] = "calyx-sealed/1"
# 128 MiB and about half a second a try (RFC 7914); fixed, since a file could name what no memory holds.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**17, 8, 1
_SALT_BYTES = 16
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Salt = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Wrapped = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{96}$")]  # K and its tag
Encapsulated = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{160}$")]  # as HPKE has it


@config
class _ForKey:
    to: Hex32  # the recipient's public key, X25519
    wrapped: Encapsulated


@config
class _ForPassphrase:
    salt: Salt
    wrapped: Wrapped


@config
class _Header:
    format: Literal["calyx-sealed/1"]
    keys: Annotated[tuple[_ForKey, ...], Field(max_length=MOST_RECIPIENTS)]
    passphrases: Annotated[tuple[_ForPassphrase, ...], Field(max_length=MOST_RECIPIENTS)]


@dataclass(frozen=True)
class SealTo:
    """Who can open a release: at least one of these."""

    recipients: tuple[Recipient, ...] = ()
    passphrases: tuple[bytes, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        """Whether it is to be sealed at all."""
        return bool(self.recipients or self.passphrases)


@dataclass(frozen=True)
class Opener:
    """Private keys, X25519, and passphrases, each of which is tried on a sealed release."""

    keys: tuple[bytes, ...] = field(default=(), repr=False)
    passphrases: tuple[bytes, ...] = field(default=(), repr=False)


def read_opener(keys: Sequence[Path], passphrases: Sequence[Path] = ()) -> Opener:
    """What these files of keys and of passphrases open. Raises UserError."""
    return Opener(tuple(map(read_private, keys)), tuple(map(read_passphrase, passphrases)))


def seal_files(files: Mapping[str, bytes], manifest: bytes, to: SealTo) -> dict[str, bytes]:
    """What lies in the folder in place of `files`, whose manifest.json has the bytes `manifest`."""
    root, bound = os.urandom(KEY_BYTES), digest_of(manifest)
    header = rfc8785.dumps(
        asdict(
            _Header(
                format=_FORMAT,
                keys=tuple(_wrap_for_key(root, one.key, bound) for one in to.recipients),
                passphrases=tuple(_wrap_for_phrase(root, one, bound) for one in to.passphrases),
            )
        )
    )
    sealed = {SEALED: header}
    for name, data in files.items():
        key = _file_key(root, name, bound, header)
        sealed[name + SEALED_END] = b"".join(_seal_chunks(key, data))
    return sealed


def sealed_bytes(plain_bytes: int) -> int:
    """How long the sealed file of a file of so many bytes is."""
    return plain_bytes + TAG_BYTES * max(1, -(-plain_bytes // CHUNK_BYTES))


class Sealed:
    """A sealed release that is open: its files can be read one by one."""

    def __init__(self, header: bytes, manifest: bytes, opener: Opener) -> None:
        """Find the release's key. Raises Unverified where `opener` has none of its keys."""
        self._header, self._bound = header, digest_of(manifest)
        self._root = _unwrap(_read_header(header), self._bound, opener)

    def open(self, name: str, data: bytes) -> bytes:
        """The file `name`, of the bytes of NAME.sealed. Raises Unverified for any that were changed."""
        key = _file_key(self._root, name, self._bound, self._header)
        try:
            return b"".join(_open_chunks(key, data))
        except InvalidTag:
            raise Unverified(
                f"{name}{SEALED_END} does not open: it, or {SEALED}, was changed, or is of another release."
            ) from None


def _read_header(data: bytes) -> _Header:
    try:
        value = parse_json(data)
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        return parse(_Header, value, "")
    except (ValueError, ConfigError) as error:
        why = printable(str(error).rstrip("."), 300)
        raise Unverified(f"{SEALED} is damaged: {why}.") from None


def _file_key(root: bytes, name: str, bound: str, header: bytes) -> bytes:
    return expand(root, enc(f"{_FORMAT}/file", name, bound, digest_of(header)), KEY_BYTES)


def _wrap_for_key(root: bytes, public: bytes, bound: str) -> _ForKey:
    return _ForKey(to=public.hex(), wrapped=Sealer(public).seal(root, _tag("key", bound)).hex())


def _wrap_for_phrase(root: bytes, passphrase: bytes, bound: str) -> _ForPassphrase:
    salt = os.urandom(_SALT_BYTES)
    wrapped = seal(_key_of_phrase(passphrase, salt), root, _tag("passphrase", bound))
    return _ForPassphrase(salt=salt.hex(), wrapped=wrapped.hex())


def _unwrap(header: _Header, bound: str, opener: Opener) -> bytes:
    """The release's key K. Raises Unverified."""
    for private in opener.keys:
        public = public_of(private)
        for one in header.keys:
            if one.to == public.hex():
                root = unseal_with(bytes.fromhex(one.wrapped), private, _tag("key", bound))
                if root is not None:
                    return root
    for phrase in opener.passphrases:
        for other in header.passphrases:
            key = _key_of_phrase(phrase, bytes.fromhex(other.salt))
            root = unseal(key, bytes.fromhex(other.wrapped), _tag("passphrase", bound))
            if root is not None:
                return root
    if opener.keys or opener.passphrases:
        raise Unverified(
            "It is encrypted, and none of the keys or passphrases that were given opens it."
        )
    raise Unverified(
        "It is encrypted: name the key that opens it as --decrypt-with FILE, or a file with its "
        "passphrase as --passphrase FILE."
    )


def _key_of_phrase(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt, KEY_BYTES, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P).derive(passphrase)


def _tag(kind: str, bound: str) -> bytes:
    return enc(f"{_FORMAT}/{kind}", bound)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _seal_chunks(key: bytes, data: bytes) -> Iterator[bytes]:
    cipher, count = AESGCM(key), max(1, -(-len(data) // CHUNK_BYTES))
    for number in range(count):
        chunk = data[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        yield cipher.encrypt(_nonce(number, is_last=number == count - 1), chunk, None)


def _open_chunks(key: bytes, data: bytes) -> Iterator[bytes]:
    """Raises InvalidTag."""
    cipher, size = AESGCM(key), CHUNK_BYTES + TAG_BYTES
    count = max(1, -(-len(data) // size))
    for number in range(count):
        chunk = data[number * size : (number + 1) * size]
        if len(chunk) < TAG_BYTES:
            raise InvalidTag
        yield cipher.decrypt(_nonce(number, is_last=number == count - 1), chunk, None)
