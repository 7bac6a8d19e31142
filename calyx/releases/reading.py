"""A release as whoever verifies or serves it reads it: each file once, and only as its signers signed it.

The folder is a stranger's until the signatures over manifest.json fit; then its files must be those that
the manifest lists, byte for byte, and no others. What is returned are the bytes that were hashed: nobody
reads the folder again, so that what is put there later changes nothing. See docs/decisions/0082.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from calyx.errors import CalyxError, UserError, printable
from calyx.files.outputs import show_path
from calyx.files.plain import MOST_TENSOR_BYTES, read_plain
from calyx.releases.card import Card, read_card
from calyx.releases.installed import check_code
from calyx.releases.manifest import (
    MANIFEST,
    MOST_FILES,
    MOST_MANIFEST_BYTES,
    OWN,
    SEALED,
    SEALED_END,
    SIGNATURES,
    Entry,
    Manifest,
    Unverified,
    digest_of,
    entry_of,
    read_manifest,
)
from calyx.releases.sealing import MOST_HEADER_BYTES, Opener, Sealed, sealed_bytes
from calyx.releases.signers import (
    MOST_SIGNATURE_BYTES,
    SignedBy,
    Signers,
    check_signatures,
    list_keys,
)

CARD = "card.json"
CARD_PAGE = "card.html"  # the same for people
MODEL = "model.safetensors"


@dataclass(frozen=True, eq=False)
class Release:
    """One release, every byte of which was compared with its manifest."""

    folder: Path
    manifest: Manifest
    digest: str  # SHA-256, in hex, of manifest.json: what the next release names as its parent
    signed: SignedBy  # empty where signatures were not looked at
    files: Mapping[str, bytes] = field(repr=False)  # by name, as the manifest lists them
    card: Card = field(repr=False)

    @property
    def signed_by(self) -> tuple[str, ...]:
        """The names, in the policy, of those who signed."""
        return self.signed.names


@dataclass(frozen=True)
class Head:
    """A release's manifest and signatures as bytes, read once; its other files were not looked at."""

    folder: Path
    manifest: bytes
    signatures: bytes  # b"" where there are none yet

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of manifest.json."""
        return digest_of(self.manifest)


@dataclass(frozen=True)
class Checked:
    """A release whose bytes are as they were signed, none of which are kept."""

    digest: str
    signed: SignedBy


def read_release(
    folder: Path, signers: Signers, at_least: int = 1, opener: Opener | None = None
) -> Release:
    """The release in `folder`, which may be a link, as `signers` have signed it, and of the code here.

    `at_least` is the lowest version that will do, and `opener` opens one that is encrypted. Raises
    Unverified, with one sentence that says what does not fit and where; and UserError where `folder` is
    none.
    """
    head = read_head(folder)
    with _named(folder):
        signed = check_signatures(head.manifest, head.signatures, signers)
        manifest = read_manifest(head.manifest)
        check_version(manifest, at_least)
        return _read(head, manifest, signed, opener)


def check_release(folder: Path, signers: Signers, opener: Opener | None = None) -> Checked:
    """As `read_release`, of a release that nobody is going to use: of any code, and any kind of card.

    An older release of a chain was made by an older Calyx.
    """
    head = read_head(folder)
    with _named(folder):
        signed = check_signatures(head.manifest, head.signatures, signers)
        for _ in _each_file(head, read_manifest(head.manifest), opener):
            pass
    return Checked(head.digest, signed)


def read_draft(folder: Path, opener: Opener | None = None) -> Release:
    """The release in `folder` for who is about to sign it: whole, but whoever made it.

    Raises as `read_release`, also where a signature is there that does not fit.
    """
    head = read_head(folder)
    with _named(folder):
        list_keys(head.manifest, head.signatures)
        manifest = read_manifest(head.manifest)
        return _read(head, manifest, SignedBy((), ()), opener)


def read_head(folder: Path) -> Head:
    """Manifest and signatures of a release. Raises Unverified, and UserError where `folder` is none."""
    if not folder.is_dir():
        what = "is no folder" if os.path.lexists(folder) else "is not there"
        raise UserError(f"{show_path(folder)} {what}; name the folder of a release.")
    with _named(folder):
        manifest = _read_file(folder, MANIFEST, MOST_MANIFEST_BYTES)
        is_signed = os.path.lexists(folder / SIGNATURES)
        signatures = _read_file(folder, SIGNATURES, MOST_SIGNATURE_BYTES) if is_signed else b""
        if is_signed and not signatures:
            raise Unverified(f"{SIGNATURES} is empty; get it again from who signed.")
    return Head(folder, manifest, signatures)


def check_version(manifest: Manifest, at_least: int) -> None:
    """Raise Unverified for a version below `at_least`."""
    if manifest.version < at_least:
        raise Unverified(
            f"It is version {manifest.version} of {manifest.name}, and version {at_least} has been seen or "
            "asked for: there is no way back. Release the older model again, as a new version."
        )


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Put the folder before the sentence of what does not fit in it."""
    try:
        yield
    except Unverified as error:
        raise Unverified(f"{show_path(folder)} does not verify: {error}") from None


def _read(head: Head, manifest: Manifest, signed: SignedBy, opener: Opener | None) -> Release:
    """Every file, once. Raises Unverified."""
    files = dict(_each_file(head, manifest, opener))
    card = find_card(files, manifest)
    check_code(card)
    return Release(head.folder, manifest, head.digest, signed, MappingProxyType(files), card)


def _each_file(
    head: Head, manifest: Manifest, opener: Opener | None
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files, as they were signed, one by one. Raises Unverified."""
    if (total := sum(entry.bytes for entry in manifest.files.values())) > MOST_TENSOR_BYTES:
        raise Unverified(f"Its files have {total:,} bytes, more than a release may have.")
    sealed = _open_sealed(head, manifest, opener)
    for name, entry in manifest.files.items():
        yield name, _read_listed(head, name, entry, sealed)


def _open_sealed(head: Head, manifest: Manifest, opener: Opener | None) -> Sealed | None:
    """What opens the files of a release that is encrypted, once the folder holds what it may.

    Raises Unverified.
    """
    here = _list_names(head.folder)
    if SEALED not in here:
        _check_names(here, set(manifest.files))
        return None
    _check_names(here, {name + SEALED_END for name in manifest.files} | {SEALED})
    header = _read_file(head.folder, SEALED, MOST_HEADER_BYTES)
    return Sealed(header, head.manifest, opener or Opener())


def _read_listed(head: Head, name: str, entry: Entry, sealed: Sealed | None) -> bytes:
    """A file of the manifest, as it was signed. Raises Unverified."""
    if sealed is None:
        data = _read_file(head.folder, name, entry.bytes)
    else:
        closed = _read_file(head.folder, name + SEALED_END, sealed_bytes(entry.bytes))
        data = sealed.open(name, closed)
    if entry_of(data) != entry:
        raise Unverified(
            f"{name} is not what was signed: {_say_difference(len(data), entry.bytes)}; get the release "
            "again from who made it."
        )
    return data


def _say_difference(here: int, there: int) -> str:
    if here != there:
        return f"it has {here:,} bytes, and {there:,} in the manifest"
    return "its SHA-256 is another than in the manifest"


def _list_names(folder: Path) -> set[str]:
    """The names of what lies in the folder, all of them plain files. Raises Unverified."""
    here = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                here.add(entry.name)
                if len(here) > MOST_FILES + len(OWN) + 1:
                    raise Unverified(f"It holds more than {MOST_FILES:,} files.")
                if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                    raise Unverified(
                        f"{_show(entry.name)} is no plain file; a release holds no links, folders, pipes or "
                        "devices. Take it out."
                    )
    except OSError as error:
        raise Unverified(f"It cannot be read: {error.strerror}.") from None
    return here


def _check_names(here: Set[str], wanted: Set[str]) -> None:
    """Raise Unverified unless the names in the folder are those of `wanted` and the manifest's own."""
    if strange := sorted(here - wanted - set(OWN)):
        raise Unverified(
            f"{_show(strange[0])} is not in the manifest; take it out: a release holds what was signed, and "
            "nothing else."
        )
    if missing := sorted(wanted - here):
        raise Unverified(f"{missing[0]} is missing; get the release again from who made it.")


def _show(name: str) -> str:
    """A stranger's name of a file, with escapes in place of letters that look like others."""
    return printable(ascii(name)[1:-1], 100)


def _read_file(folder: Path, name: str, limit: int) -> bytes:
    try:
        return read_plain(folder / name, limit)
    except FileNotFoundError:
        raise Unverified(
            f"{name} is missing; is it the folder of a release, as `calyx release` makes it?"
            if name == MANIFEST
            else f"{name} is missing; get the release again from who made it."
        ) from None
    except OSError as error:
        what = "is not what was signed" if error.errno == errno.EFBIG else "cannot be taken"
        raise Unverified(f"{name} {what}: {error.strerror}.") from None


def find_card(files: Mapping[str, bytes], manifest: Manifest) -> Card:
    """The card among a release's files, which is of the same release and model. Raises Unverified."""
    for name in (CARD, MODEL):
        if name not in files:
            raise Unverified(f"The manifest lists no {name}, without which there is no release.")
    try:
        card = read_card(files[CARD])
    except CalyxError as error:
        raise Unverified(str(error)) from None
    said = (card.release.name, card.release.version, card.release.parent, card.created)
    if said != (manifest.name, manifest.version, manifest.parent, manifest.created):
        raise Unverified(f"{CARD} is of another release than {MANIFEST} says.")
    if card.model.sha256 != manifest.files[MODEL].sha256:
        raise Unverified(f"{CARD} speaks of another model than {MODEL}.")
    return card
