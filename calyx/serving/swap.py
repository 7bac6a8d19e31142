"""Which release of a folder answers, and when another one takes over.

A folder of releases is looked at again and again. What is newer, is signed, descends from the release that
answers, has its columns and classes, and loads, takes its place between two requests; anything else is
refused and said once, and looked at again only when the folder changes. The highest version that ever
answered is remembered on disk, so that no restart goes below it. See docs/decisions/0086.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from calyx.config.section import config, parse_file
from calyx.errors import CalyxError, UserError
from calyx.files.outputs import show_path
from calyx.files.plain import lock_file, write_json
from calyx.releases.chain import is_release, list_folders
from calyx.releases.manifest import Manifest, Unverified, read_manifest
from calyx.releases.reading import Release, read_head, read_release
from calyx.releases.sealing import Opener
from calyx.releases.signers import Signers

FLOOR = "highest.json"
_MOST_FLOOR_BYTES = 10_000
Marks = tuple[int, ...]


@config
class Floor:
    """The highest version that a gateway has answered by."""

    format: str = "calyx-serve-highest/1"
    name: str  # of the chain
    version: int
    digest: str  # SHA-256, in hex, of its manifest


def floor_of(release: Release) -> Floor:
    """The floor that a release sets."""
    manifest = release.manifest
    return Floor(name=manifest.name, version=manifest.version, digest=release.digest)


def read_floor(state_dir: Path) -> Floor | None:
    """What is remembered; None where nothing has answered yet. Raises UserError for a damaged file."""
    return parse_file(Floor, state_dir / FLOOR, _MOST_FLOOR_BYTES)


def raise_floor(state_dir: Path, floor: Floor) -> None:
    """Remember a release, unless a higher one is remembered. Raises UserError where it cannot be written."""
    try:
        with lock_file(state_dir / f"{FLOOR}.lock"):
            before = read_floor(state_dir)
            if before is None or before.version < floor.version:
                write_json(state_dir / FLOOR, asdict(floor))
    except OSError as error:
        raise UserError(
            f"{show_path(state_dir)} cannot be written: {error.strerror}; set serve.state_dir."
        ) from None


@dataclass(frozen=True)
class Rejected:
    """A folder that is not served."""

    name: str  # of the folder
    why: str  # a sentence for the operator


@dataclass(eq=False)
class Releases:
    """A release, or a folder of them, and what was found in it."""

    folder: Path
    signers: Signers
    opener: Opener | None = None  # of releases that are kept encrypted
    refused: dict[str, Rejected] = field(default_factory=dict)  # by name, at the last look
    _marks: dict[str, Marks] = field(default_factory=dict)  # of each folder when it was looked at
    _floor: Floor | None = None  # which was the floor then

    @property
    def is_single(self) -> bool:
        """Whether it is one release, beside which nothing is watched."""
        return is_release(self.folder)

    def choose(self, floor: Floor | None) -> Release:
        """The newest release that verifies. Raises CalyxError, with what is wrong with the newest one."""
        if self.is_single:
            release = self._read(self.folder, floor)
            _check_floor(release, floor, {})
            return release
        newest, rejected = self._look(floor)
        if newest is not None:
            return newest
        if not rejected:
            raise UserError(
                f"{show_path(self.folder)} holds no release; name one that `calyx release` has made, or the "
                "folder that it lies in."
            )
        raise Unverified(rejected[0].why)

    def find_newer(self, floor: Floor) -> tuple[Release | None, list[Rejected]]:
        """A release above `floor` that verifies, if there is one, and what was refused just now."""
        if self.is_single:
            return None, []
        return self._look(floor, is_above=True)

    def reject(self, release: Release, why: str) -> Rejected:
        """Refuse a release that verifies and cannot be served; it is not tried again as it is."""
        rejected = Rejected(release.folder.name, why)
        self.refused[rejected.name] = rejected
        return rejected

    def _look(
        self, floor: Floor | None, *, is_above: bool = False
    ) -> tuple[Release | None, list[Rejected]]:
        """The newest release that will do, and those above it that will not."""
        marks = {folder.name: _marks_of(folder) for folder in list_folders(self.folder)}
        if is_above and (marks, floor) == (self._marks, self._floor):
            return None, []
        # Anything that changes may be what a refused one lacked: a signature, or the version before it.
        self._marks, self._floor, self.refused = marks, floor, {}
        manifests, rejected = self._read_manifests(set(marks))
        lowest = floor.version + 1 if floor and is_above else 1
        newest = sorted(manifests, key=lambda name: -manifests[name].version)
        for name in newest:
            if manifests[name].version < lowest:
                break
            try:
                release = self._read(self.folder / name, floor)
                _check_floor(release, floor, self._by_digest(marks))
                return release, rejected
            except CalyxError as error:
                rejected.append(Rejected(name, str(error)))
                self.refused[name] = rejected[-1]
        return None, rejected

    def _read(self, folder: Path, floor: Floor | None) -> Release:
        """A release as its signers signed it, and not below `floor`. Raises CalyxError."""
        return read_release(folder, self.signers, floor.version if floor else 1, self.opener)

    def _read_manifests(self, names: set[str]) -> tuple[dict[str, Manifest], list[Rejected]]:
        manifests, rejected = {}, []
        for name in sorted(names):
            try:
                if (self.folder / name).is_symlink():
                    raise Unverified(f"{name} is a link; put the release itself there.")
                manifests[name] = read_manifest(read_head(self.folder / name).manifest)
            except CalyxError as error:
                rejected.append(Rejected(name, str(error)))
                self.refused[name] = rejected[-1]
        return manifests, rejected

    def _by_digest(self, names: Mapping[str, Marks]) -> dict[str, Manifest]:
        """All manifests that can be read: a hash that is signed vouches for the one that has it."""
        known = {}
        for name in names:
            try:
                head = read_head(self.folder / name)
                known[head.digest] = read_manifest(head.manifest)
            except CalyxError:
                continue
        return known


def _marks_of(folder: Path) -> Marks:
    """What tells that a release's folder or its signatures have changed."""
    marks: list[int] = []
    for path in (folder, folder / "manifest.json", folder / "manifest.sig"):
        try:
            status = os.lstat(path)
        except OSError:
            marks.append(0)
        else:
            marks += [status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size]
    return tuple(marks)


def _check_floor(release: Release, floor: Floor | None, known: Mapping[str, Manifest]) -> None:
    """Raise Unverified unless a release is what is remembered, or descends from it."""
    if floor is None:
        return
    here, manifest = show_path(release.folder), release.manifest
    if manifest.name != floor.name:
        raise Unverified(
            f"{here} is a release of {manifest.name}, and this gateway has served {floor.name}; give it "
            "another serve.state_dir."
        )
    parent, version = release.digest, manifest.version
    while version > floor.version:
        before = manifest if parent == release.digest else known.get(parent or "")
        if before is None:
            raise Unverified(
                f"{here} is version {manifest.version} of {manifest.name}, and version {version} before it "
                "is missing; put it back beside it."
            )
        parent, version = before.parent or "", before.version - 1
    if parent != floor.digest:
        raise Unverified(
            f"{here} does not descend from the version {floor.version} that this gateway has served: the "
            "chain forks, or that version was replaced."
        )
