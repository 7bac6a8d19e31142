"""What lies in our packages, byte for byte, and an importer that runs these bytes and nothing else.

Python by itself prefers `training.cpython-….so` and a fitting `__pycache__/training….pyc` to
`training.py`, and reads a file anew when it is first imported, whatever it was when somebody looked.
Here the sources are read once; their digest is what a manifest is compared with, and every module of
ours is compiled from the very bytes that were digested. No bytecode is read or written.

`calyx/cli/isolated.py` runs this file before anything else of ours is imported: standard library only.
See docs/decisions/0061.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import decode_source, spec_from_file_location
from io import BufferedReader
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).absolute().parents[2]
PACKAGES = ("calyx", "client", "server", "strategies", "conf")
IGNORED = "__pycache__"  # a folder that is not looked into, because nothing here reads it
COMPILED = (".so", ".pyd", ".dll", ".dylib", ".pyc", ".pyo")
MAX_SOURCE_BYTES = 2**24


@dataclass(frozen=True)
class Contents:
    """The files of some packages: SHA-256 in hex by name, and names of what has no place in them."""

    digests: Mapping[str, str]  # "calyx/fleet/site.py" → 64 hex digits
    sources: Mapping[str, bytes]  # of those that are Python: the bytes that were digested
    strangers: tuple[str, ...]  # "client/site.so is compiled code": reasons, by name

    @property
    def code(self) -> str:
        """One SHA-256, in hex, over all names and digests."""
        return digest_of(self.digests)


def digest_of(digests: Mapping[str, str]) -> str:
    """SHA-256, in hex, over the lines `NAME\\0DIGEST` of all files, by name."""
    lines = [f"{name}\0{digests[name]}\n" for name in sorted(digests)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_packages(places: Mapping[str, Path]) -> Contents:
    """Everything in some packages, each a folder or one file of Python, by its name in imports.

    Files of any kind are digested; compiled code, links and the like are strangers.
    Raises OSError for what cannot be read.
    """
    digests: dict[str, str] = {}
    sources: dict[str, bytes] = {}
    strangers: list[str] = []
    for package, place in places.items():
        for name, path, mode in _walk(place, package + place.suffix):
            why = _why_strange(name, mode)
            if why is not None:
                strangers.append(f"{name} {why}")
            elif name.endswith(".py"):
                data = sources[name] = _read(path)
                digests[name] = hashlib.sha256(data).hexdigest()
            else:
                with _open(path) as file:
                    digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return Contents(digests, sources, tuple(sorted(strangers)))


def _walk(place: Path, name: str) -> Iterator[tuple[str, Path, int]]:
    """Everything below a place that is no folder, and folders that are links: name, path, mode."""
    waiting = [(name, place)]
    while waiting:
        name, place = waiting.pop()
        mode = place.lstat().st_mode
        if not stat.S_ISDIR(mode):
            yield name, place, mode
        elif place.name != IGNORED:
            waiting += [(f"{name}/{entry}", place / entry) for entry in os.listdir(place)]


def _why_strange(name: str, mode: int) -> str | None:
    if stat.S_ISLNK(mode):
        return "is a link"
    if not stat.S_ISREG(mode):
        return "is no plain file"
    if not name.isprintable() or "\\" in name:
        return "has a name that no file of a package has"
    if name.lower().endswith(COMPILED):
        return "is compiled code"
    return None


def _open(path: Path) -> BufferedReader:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _read(path: Path) -> bytes:
    with _open(path) as file:
        data: bytes = file.read(MAX_SOURCE_BYTES + 1)
    if len(data) > MAX_SOURCE_BYTES:
        raise OSError(f"{path} is longer than {MAX_SOURCE_BYTES} bytes")
    return data


class Importer(MetaPathFinder):
    """Finds modules of the packages that it was given in their bytes, and never on the disk."""

    def __init__(self) -> None:
        self._places: dict[str, Path] = {}
        self._sources: dict[str, bytes] = {}
        self._folders: set[str] = set()
        self.contents: Contents | None = None  # of our own packages
        self.is_sealed = (
            False  # whether tasks, strategies and questions of other packages are refused
        )

    @property
    def packages(self) -> tuple[str, ...]:
        """Names in imports of all that it covers."""
        return tuple(self._places)

    def cover(self, places: Mapping[str, Path], contents: Contents) -> None:
        """Import these packages from these contents from now on."""
        self._places |= places
        self._sources |= contents.sources
        for name in contents.digests:
            parts = name.split("/")
            self._folders.update("/".join(parts[:end]) for end in range(1, len(parts)))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How a module of a covered package is loaded. Raises ModuleNotFoundError where there is none."""
        package, *inner = fullname.split(".")
        if package not in self._places:
            return None
        place = self._places[package]
        if place.suffix == ".py" and not inner:
            return self._spec(fullname, f"{package}.py", place, None)
        folder, stem = place.joinpath(*inner), "/".join((package, *inner))
        if f"{stem}/__init__.py" in self._sources:
            return self._spec(fullname, f"{stem}/__init__.py", folder / "__init__.py", folder)
        if f"{stem}.py" in self._sources:
            return self._spec(fullname, f"{stem}.py", folder.with_suffix(".py"), None)
        if stem in self._folders:  # one without code of its own
            return self._spec(fullname, "", folder / "__init__.py", folder)
        raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)

    def _spec(self, fullname: str, name: str, path: Path, folder: Path | None) -> ModuleSpec | None:
        loader = _Loader(fullname, str(path), self._sources.get(name, b""))
        within = None if folder is None else [str(folder)]
        return spec_from_file_location(
            fullname, path, loader=loader, submodule_search_locations=within
        )


class _Loader(SourceFileLoader):
    """Runs bytes that were read before; files beside a module are found as ever."""

    def __init__(self, fullname: str, path: str, source: bytes) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """Compiled from the source, and never read from a cache."""
        return self.source_to_code(self._source, self.path)

    def get_source(self, fullname: str) -> str:
        """The text that runs, whatever the file says by now."""
        return decode_source(self._source)


def active() -> Importer | None:
    """The importer of this process; None where Python's own finds our modules."""
    return next((one for one in sys.meta_path if isinstance(one, Importer)), None)


def own_places(root: Path) -> dict[str, Path]:
    """Where our packages lie below the folder that they were installed in."""
    return {package: root / package for package in PACKAGES}


def contents() -> Contents:
    """What this process runs of ours, or else what lies on the disk. Raises OSError."""
    importer = active()
    if importer is not None and importer.contents is not None:
        return importer.contents
    return read_packages(own_places(ROOT))


def install(root: Path) -> Contents:
    """Import our packages below `root` from what they hold now, and return that. Raises OSError."""
    importer = Importer()
    importer.contents = read_packages(own_places(root))
    importer.cover(own_places(root), importer.contents)
    sys.meta_path.insert(0, importer)
    return importer.contents


def may_load(module: str) -> bool:
    """Whether a task, strategy or question of this module may be loaded: with a manifest, what it covers."""
    importer = active()
    if importer is None or not importer.is_sealed:
        return True
    return module.partition(".")[0] in importer.packages
