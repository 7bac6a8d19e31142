"""A new release, written whole or not at all: beside its place, synced, and then renamed.

A release that is being written has a hidden name in the same folder. A full disk leaves nothing; what a
kill or a loss of power leaves is hidden, and the next release removes it. See docs/decisions/0082.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from calyx.errors import CalyxError, UserError, printable
from calyx.files.outputs import show_path
from calyx.files.plain import lock_file, name_in_errors, sync_folder, write_synced
from calyx.releases.chain import Link, is_release, list_folders, read_links
from calyx.releases.manifest import (
    MANIFEST,
    SIGNATURES,
    Manifest,
    digest_of,
    entry_of,
    is_name,
    manifest_bytes,
    read_manifest,
)
from calyx.releases.reading import Release, find_card, read_head
from calyx.releases.sealing import SealTo, seal_files
from calyx.releases.signers import SignedBy

NOBODY = SealTo()
_LOCK = ".calyx-releases.lock"
_PART = ".calyx-release-"  # what a release, or its signatures, are called while they are written


@dataclass(frozen=True)
class Place:
    """Where the next release of a chain goes, and what it is; its files are still to be made."""

    folder: Path
    name: str
    version: int
    parent: str | None
    created: datetime  # UTC, whole seconds


def plan_release(folder: Path, name: str | None, default: str, parent: Path | None = None) -> Place:
    """The next version of the chain in the folder that `folder` will lie in, or after `parent`.

    `name` is that of the chain; None is the parent's, or one made of `default` for a first release.
    Raises UserError where something is there already, `name` is not the parent's, or the chain would fork;
    and Unverified where what lies there is no chain.
    """
    if os.path.lexists(folder):
        raise UserError(
            f"{show_path(folder)} is there already, and a release is never changed; name a new folder as "
            "--to."
        )
    if is_release(folder.parent):
        raise UserError(
            f"{show_path(folder.parent)} is a release, in which nothing else may lie; name a folder beside "
            "it as --to."
        )
    last = _find_parent(folder.parent, parent)
    created = datetime.now(UTC).replace(microsecond=0)
    if last is None:
        return Place(folder, _first_name(name, default), 1, None, created)
    before = last.manifest
    if name not in (None, before.name):
        raise UserError(
            f"{show_path(last.folder)} is a release of {before.name}, and not of {printable(str(name))}; "
            "each name is a chain in a folder of its own."
        )
    return Place(folder, before.name, before.version + 1, last.digest, created)


def _find_parent(folder: Path, parent: Path | None) -> Link | None:
    """The newest release in `folder`, or `parent`. Raises UserError where those are two."""
    links = _read_links(folder)
    if parent is None:
        return links[-1] if links else None
    head = read_head(parent)
    named = Link(parent, read_manifest(head.manifest), head.digest)
    if links and links[-1].digest != named.digest:
        raise UserError(
            f"{show_path(links[-1].folder)} is the newest release in {show_path(folder)}, so that one after "
            f"{show_path(parent)} would fork the chain; leave --parent out, or name another folder as --to."
        )
    return named


def _first_name(name: str | None, default: str) -> str:
    """The name of a new chain. Raises UserError for one that no file of every disk could have."""
    if name is None:
        name = re.sub("[^a-z0-9]+", "-", default.lower()).strip("-")[:100] or "model"
    if not is_name(name):
        raise UserError(
            f"--name={printable(name, 100)} cannot be the name of a release: take 1 to 100 of a-z, 0-9, dot, "
            "hyphen and underscore, and a letter or a digit first."
        )
    return name


def _read_links(folder: Path) -> tuple[Link, ...]:
    return read_links(folder) if folder.is_dir() else ()


def write_release(place: Place, files: Mapping[str, bytes], to: SealTo = NOBODY) -> Release:
    """Write `files` and their manifest as the release of `place`, whole or not at all.

    With recipients in `to`, nothing of the files lies on the disk but sealed. Raises UserError where
    another release has come there since it was planned, and CalyxError where it cannot be written.
    """
    manifest = Manifest(
        name=place.name,
        version=place.version,
        parent=place.parent,
        created=place.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        files={name: entry_of(data) for name, data in sorted(files.items())},
    )
    data = manifest_bytes(manifest)
    card = find_card(files, read_manifest(data))  # nothing is written that nobody could read
    inside = seal_files(files, data, to) if to else files
    _write_folder(place.folder, {**inside, MANIFEST: data}, lambda: _check_still(place))
    nobody, kept = SignedBy((), ()), MappingProxyType(dict(files))
    return Release(place.folder, manifest, digest_of(data), nobody, kept, card)


def write_copy(release: Release, signatures: bytes, folder: Path) -> None:
    """Write a release that was encrypted as `folder`, in the clear, with the signatures that it had.

    Raises UserError where something is there, or releases are beside it; CalyxError where it cannot be
    written.
    """

    def check() -> None:
        if os.path.lexists(folder) or is_release(folder.parent) or list_folders(folder.parent):
            raise UserError(
                f"{show_path(folder)} is there already, or among releases, where it would be a second one of "
                "its version; name a new folder elsewhere as --to."
            )

    own = {MANIFEST: manifest_bytes(release.manifest)} | (
        {SIGNATURES: signatures} if signatures else {}
    )
    _write_folder(folder, {**release.files, **own}, check)


def _write_folder(folder: Path, inside: Mapping[str, bytes], check: Callable[[], None]) -> None:
    """Write a folder of these files whole or not at all, once `check` has raised nothing.

    Raises UserError, and CalyxError where it cannot be written.
    """
    if folder.parent.is_dir():
        check()  # first, since the lock is a file, which no release may hold
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{show_path(folder.parent)} cannot be made: {error.strerror}.") from None
    with _locked(folder.parent), _unless_full(folder):
        check()
        part = _part(folder.parent)
        try:
            part.mkdir()
            for name, content in inside.items():
                write_synced(part / name, content)
            sync_folder(part)
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_folder(folder.parent)


def write_signatures(folder: Path, data: bytes) -> None:
    """Replace a release's manifest.sig, whole or not at all, inside of `hold`. Raises CalyxError.

    What is not whole yet lies beside the release, in which nothing is that was not signed.
    """
    part = _part(folder.resolve().parent)
    with _unless_full(folder):
        try:
            with name_in_errors(folder / SIGNATURES):
                write_synced(part, data)
                part.replace(folder / SIGNATURES)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(folder)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the folder that a release lies in, so that no other signer or releaser writes there.

    Raises UserError or Unverified where `folder` is no release: the lock is a file, and would lie, for good,
    where nobody looks for one, or in a release, where no other file may be.
    """
    read_head(folder)
    where = folder.resolve().parent
    if is_release(where):
        raise UserError(
            f"{show_path(folder)} lies in a release, in which there is no other; name the right folder."
        )
    with _locked(where):
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a chain, and remove what was left half-written there. Raises CalyxError."""
    try:
        with lock_file(folder / _LOCK) as is_free:
            if not is_free:
                raise UserError(
                    f"Another `calyx release` is at work in {show_path(folder)}; try again when it is done."
                )
            for name in os.listdir(folder):
                if name.startswith(_PART):
                    _remove(folder / name)
            yield
    except OSError as error:
        raise CalyxError(f"{show_path(folder)} cannot be written: {error.strerror}.") from None


def _remove(path: Path) -> None:
    """Remove what a killed process left; nothing else has such a name. Links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _part(folder: Path) -> Path:
    return folder / f"{_PART}{os.urandom(8).hex()}.part"


def _check_still(place: Place) -> None:
    """Raise UserError where the chain has grown, or the folder is taken, since `place` was planned."""
    links = _read_links(place.folder.parent)
    is_next = not links or place.version == links[-1].manifest.version + 1
    if os.path.lexists(place.folder) or not is_next:
        raise UserError(
            f"{show_path(place.folder.parent)} has got another release meanwhile; release again, after that."
        )


@contextmanager
def _unless_full(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CalyxError(
            f"{show_path(folder)} cannot be written: {error.strerror}. Nothing of it is left there."
        ) from None
