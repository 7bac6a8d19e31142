"""Which code may run on a site: digests of what is installed, signed by the consortium.

A site with a manifest looks at its own files before it connects ("secure boot"), and takes no
manifest that is older than one it has seen. Packages with tasks of their own are in it where the
consortium names them. PyTorch and the other libraries are not: see docs/decisions/0061.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from calyx.errors import UserError, printable
from calyx.files.plain import read_bounded, strict_json
from calyx.secagg.keys import sign, verify
from calyx.trust.measured import PACKAGES, Contents, active, contents, digest_of, read_packages

_FIELDS = {"version", "code", "files", "signature"}
MAX_BYTES = 2**24
MAX_VERSION = 2**63 - 1  # as of a roster
_NAMED = 3  # files that a sentence names


@dataclass(frozen=True)
class Manifest:
    """A version that only grows, and the code that it allows."""

    version: int
    code: str  # SHA-256, in hex, over names and digests of all files
    files: Mapping[str, str]  # SHA-256, in hex, by name

    @property
    def packages(self) -> tuple[str, ...]:
        """Names in imports of packages beside our own."""
        tops = {name.partition("/")[0].removesuffix(".py") for name in self.files}
        return tuple(sorted(tops.difference(PACKAGES)))


def write_manifest(version: int, consortium_private: bytes, packages: Iterable[str] = ()) -> str:
    """The signed manifest of the code that is installed here, as JSON. Raises UserError.

    `packages` are those with tasks or strategies of their own, by their names in imports.
    """
    if not 1 <= version <= MAX_VERSION:
        raise UserError(
            f"--version={printable(str(version), 40)} must be a whole number from 1 to {MAX_VERSION}; the "
            "next one after the last that was signed is enough."
        )
    here = _read_installed(tuple(sorted(set(packages))))
    if here.strangers:
        raise UserError(_strange(here, "No manifest is signed"))
    signature = sign(consortium_private, "manifest", version, here.code)
    files = {name: here.digests[name] for name in sorted(here.digests)}
    value = {"version": version, "code": here.code, "signature": signature.hex(), "files": files}
    return strict_json(value, indent=1) + "\n"


def read_manifest(path: Path, consortium: bytes) -> Manifest:
    """A manifest whose signature is the consortium's. Raises UserError."""
    try:
        value = json.loads(read_bounded(path, MAX_BYTES))
        version = value["version"]
        if set(value) <= _FIELDS and type(version) is int and 1 <= version <= MAX_VERSION:
            code, signature = str(value["code"]), bytes.fromhex(value["signature"])
            # Those of before this rule name no files; none of them fits code of today.
            files = value.get("files", {})
            is_whole = files == {} or digest_of(files) == code
            if is_whole and verify(consortium, signature, "manifest", version, code):
                return Manifest(version, code, files)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise UserError(
        f"{path} is no manifest that the roster's consortium has signed; ask it for another."
    )


def check_installed(manifest: Manifest) -> None:
    """Compare what runs here, or lies on the disk, with the manifest. Raises UserError.

    In a process of calyx/cli/isolated.py the packages that the manifest names are imported from the bytes
    that were compared, and tasks of all others are refused from now on.
    """
    here = _read_installed(manifest.packages)
    if here.strangers:
        raise UserError(_strange(here, "The installed code is not what the consortium has signed"))
    if here.code != manifest.code:
        raise UserError(
            f"The installed code ({here.code[:16]}…) is not what manifest {manifest.version} allows "
            f"({manifest.code[:16]}…){_differences(here.digests, manifest.files)}: install that version "
            "again, or see who changed a file."
        )
    seal(manifest.packages, here)


def seal(packages: Iterable[str], here: Contents) -> None:
    """From now on import `packages` from the bytes `here`, which were compared, and refuse tasks of others.

    Nothing happens outside of a process of calyx/cli/isolated.py. Raises UserError where one of them has
    run already.
    """
    importer = active()
    if importer is not None:
        _check_not_imported(() if importer.is_sealed else packages)
        importer.cover(places_of(packages), here)
        importer.is_sealed = True


def _check_not_imported(packages: Iterable[str]) -> None:
    for name in packages:
        if name in sys.modules:
            raise UserError(
                f"The package {name} has run before it was measured: a .pth file or a sitecustomize of "
                "this environment imports it; take it out there."
            )


def _read_installed(packages: tuple[str, ...]) -> Contents:
    own = contents()
    others = read_packages(places_of(packages))
    return Contents(
        {**own.digests, **others.digests}, others.sources, own.strangers + others.strangers
    )


def places_of(packages: Iterable[str]) -> dict[str, Path]:
    """Where packages with tasks of their own lie. Raises UserError."""
    places = {}
    for name in packages:
        spec = PathFinder.find_spec(name) if name.isidentifier() else None
        folders = list(spec.submodule_search_locations or ()) if spec else []
        place = Path(folders[0]) if len(folders) == 1 else Path((spec and spec.origin) or "")
        if spec is None or spec.origin is None or name in PACKAGES:
            raise UserError(
                f"There is no package {printable(name, 80)!r} here beside Calyx's own that a manifest could "
                "name; write it as it is imported, or install it."
            )
        places[name] = place
    return places


def _strange(here: Contents, what: str) -> str:
    more = len(here.strangers) - 1
    first = _plain(here.strangers[0])
    others = f", and {more} more" if more else ""
    return (
        f"{what}: {first}{others}. A package of verified code holds sources only, as files of their own; "
        "remove what does not belong there, or install the package again."
    )


def _differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Which files are to blame, in brackets; nothing where the manifest names none."""
    if not there:
        return ""
    changed = [
        f"{name} has changed" for name in here.keys() & there.keys() if here[name] != there[name]
    ]
    added = [f"{name} is not in it" for name in here.keys() - there.keys()]
    missing = [f"{name} is missing" for name in there.keys() - here.keys()]
    files = sorted(changed + added + missing)
    more = [f"{len(files) - _NAMED} more"] if len(files) > _NAMED else []
    return _plain(f" ({', '.join(files[:_NAMED] + more)})")


def _plain(text: str) -> str:
    """A text for a terminal, with escapes in place of letters that look like others."""
    return printable(text.encode("ascii", "backslashreplace").decode())
