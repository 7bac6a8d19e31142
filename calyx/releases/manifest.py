"""manifest.json: what a release is, and the hash and size of every file in it. What signers sign.

Its bytes are canonical JSON (RFC 8785), so that one content has one hash: that hash is the release's
digest, which the next release of the chain names as its parent. See docs/decisions/0082.
"""

import hashlib
import re
from dataclasses import asdict
from typing import Annotated, Literal

import rfc8785
from pydantic import Field, StringConstraints

from calyx.config.section import NonNegativeInt, config, parse
from calyx.errors import CalyxError, ConfigError, printable
from calyx.files.foreign import parse_json

FORMAT: Literal["calyx-release/1"] = "calyx-release/1"
MANIFEST = "manifest.json"
SIGNATURES = "manifest.sig"
OWN = (MANIFEST, SIGNATURES)  # the files that no manifest lists
SEALED = "sealed.json"  # in a release that is kept encrypted, beside its files as NAME.sealed
SEALED_END = ".sealed"
MAX_VERSION = 2**53 - 1  # the greatest whole number of RFC 8785
MOST_FILES = 1000
MOST_MANIFEST_BYTES = 2**20
# Lower case and ASCII, so that no two names are one file on any disk, or look alike.
_NAME = r"^[a-z0-9][a-z0-9._-]{0,99}$"
FileName = Annotated[str, StringConstraints(pattern=_NAME)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class Unverified(CalyxError):
    """A release, or a chain of them, that is not what its signers have signed; exit code 1."""


@config
class Entry:
    """One file: SHA-256 in hex, and its size."""

    sha256: Sha256
    bytes: Annotated[NonNegativeInt, Field(le=MAX_VERSION)]


@config
class Manifest:
    """One release of a chain."""

    format: Literal["calyx-release/1"] = FORMAT
    name: FileName  # of the chain
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)]  # one more than its parent's
    parent: Sha256 | None  # digest of the release before; None of the first
    created: Instant  # UTC
    files: Annotated[dict[FileName, Entry], Field(min_length=1, max_length=MOST_FILES)]

    def __post_init__(self) -> None:
        """Raise ValueError for a first release with a parent, a later one without, and a file of our own."""
        if (self.version == 1) != (self.parent is None):
            raise ValueError("version 1 has no parent, and every later version has one")
        for name in self.files:
            if name in (*OWN, SEALED) or name.endswith(SEALED_END):
                raise ValueError(f"no file that it lists can be called {name}")

    @property
    def title(self) -> str:
        """What people call it: "heart version 2"."""
        return f"{self.name} version {self.version}"


def is_name(text: str) -> bool:
    """Whether a chain, or a file of a release, may be called so."""
    return re.fullmatch(_NAME, text, re.ASCII) is not None and "\n" not in text


def entry_of(data: bytes) -> Entry:
    """The entry of a file with these bytes."""
    return Entry(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def manifest_bytes(manifest: Manifest) -> bytes:
    """The one spelling of a manifest."""
    return rfc8785.dumps(asdict(manifest))


def digest_of(data: bytes) -> str:
    """The digest, in hex, of the release whose manifest.json has these bytes."""
    return hashlib.sha256(data).hexdigest()


def read_manifest(data: bytes) -> Manifest:
    """The manifest in the bytes of manifest.json, every field checked.

    Raises Unverified where they are not what `manifest_bytes` writes, to the letter.
    """
    try:
        value = parse_json(data)
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        manifest = parse(Manifest, value, "")
        if manifest_bytes(manifest) != data:
            raise ValueError("it is not spelt as RFC 8785 has it")
    except (ValueError, ConfigError) as error:
        why = printable(str(error).rstrip("."), 300)
        raise Unverified(f"{MANIFEST} is damaged, or no manifest of a release: {why}.") from None
    return manifest
