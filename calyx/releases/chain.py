"""A folder of releases: a chain of which each names the one before, and versions only grow.

What lies beside the releases is left alone: files, and folders without a manifest. Two releases of one
version, a version that is missing, one that names another parent, and one of another name are no chain.
See docs/decisions/0082.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from calyx.errors import UserError
from calyx.files.foreign import MOST_ENTRIES
from calyx.files.outputs import show_path
from calyx.releases.manifest import MANIFEST, Manifest, Unverified, digest_of, read_manifest
from calyx.releases.reading import Release, check_release, read_head, read_release
from calyx.releases.sealing import Opener
from calyx.releases.signers import SignedBy, Signers
from calyx.words.sentences import join_names

HIDDEN = "."  # what begins so is nobody's release: one that is being written, above all


@dataclass(frozen=True)
class Link:
    """One release of a chain, by its manifest alone; whether it verifies was not looked at."""

    folder: Path
    manifest: Manifest
    digest: str  # SHA-256, in hex, of its manifest.json


@dataclass(frozen=True)
class Chain:
    """A chain that verifies: its newest release whole, and whose signatures the older ones have."""

    newest: Release
    older: tuple[tuple[Link, SignedBy], ...]  # ascending


def is_release(folder: Path) -> bool:
    """Whether a folder looks like one release, and not like a folder of them."""
    return os.path.lexists(folder / MANIFEST)


def list_folders(folder: Path) -> list[Path]:
    """The folders in `folder` that look like releases, by name. Raises UserError."""
    try:
        names = sorted(os.listdir(folder))[:MOST_ENTRIES]
    except OSError as error:
        raise UserError(f"{show_path(folder)} cannot be read: {error.strerror}.") from None
    return [folder / n for n in names if not n.startswith(HIDDEN) and is_release(folder / n)]


def read_links(folder: Path) -> tuple[Link, ...]:
    """The releases in `folder` by version, which make a chain; none where it holds none.

    Neither signatures nor files are looked at. Raises Unverified for manifests that are damaged or make
    no chain.
    """
    links = []
    for one in list_folders(folder):
        if one.is_symlink():
            raise Unverified(
                f"{show_path(one)} is a link; put the release itself there, or take it out."
            )
        head = read_head(one)
        try:
            links.append(Link(one, read_manifest(head.manifest), digest_of(head.manifest)))
        except Unverified as error:
            raise Unverified(f"{show_path(one)} does not verify: {error}") from None
    links.sort(key=lambda link: link.manifest.version)
    check_chain(links)
    return tuple(links)


def check_chain(links: Sequence[Link]) -> None:
    """Raise Unverified unless `links`, ascending, are versions 1, 2, … of one name, in a chain."""
    names = list(dict.fromkeys(link.manifest.name for link in links))
    if len(names) > 1:
        raise Unverified(
            f"{show_path(links[0].folder.parent)} holds releases of {join_names(names)}; each name is a "
            "chain in a folder of its own."
        )
    for link in links[:1]:
        if link.manifest.version > 1:
            raise Unverified(
                f"{show_path(link.folder)} is version {link.manifest.version} of {link.manifest.name}, and "
                f"version {link.manifest.version - 1} before it is missing; put it back beside it."
            )
    for one, other in pairwise(links):
        _check_pair(one, other)


def _check_pair(one: Link, other: Link) -> None:
    before, after = one.manifest, other.manifest
    here = show_path(other.folder)
    if after.version == before.version:
        raise Unverified(
            f"{show_path(one.folder)} and {here} are both version {after.version} of {after.name}, and a "
            "version stands for one content; find out which is right, and take the other out."
        )
    if after.version > before.version + 1:
        raise Unverified(
            f"{here} is version {after.version} of {after.name}, and version {after.version - 1} before it "
            "is missing; put it back beside it."
        )
    if after.parent != one.digest:
        raise Unverified(
            f"{here} names another parent ({str(after.parent)[:16]}…) than {show_path(one.folder)} "
            f"({one.digest[:16]}…): the chain forks, or version {before.version} was replaced."
        )


def read_chain(
    folder: Path, signers: Signers, at_least: int = 1, opener: Opener | None = None
) -> Chain:
    """The chain in `folder`, every release of which `signers` have signed.

    The newest one is compared with the code that is installed here. The older ones are not, and their
    cards may be of an older Calyx.
    Raises Unverified, and UserError where there is no release.
    """
    links = read_links(folder)
    if not links:
        raise UserError(
            f"{show_path(folder)} holds no release; name one that `calyx release` has made, or the folder "
            "that it lies in."
        )
    older = []
    for link in links[:-1]:
        checked = check_release(link.folder, signers, opener)
        older.append((_same(link, checked.digest), checked.signed))
    newest = read_release(links[-1].folder, signers, at_least, opener)
    _same(links[-1], newest.digest)
    return Chain(newest, tuple(older))


def _same(link: Link, digest: str) -> Link:
    """`link`, unless the release was replaced since. Raises Unverified."""
    if digest != link.digest:
        raise Unverified(f"{show_path(link.folder)} was replaced while it was read; verify again.")
    return link
