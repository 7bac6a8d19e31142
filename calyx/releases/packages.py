"""Which packages are installed here, and which of them serving a release needs. No network is asked.

What a package needs is what its own metadata says, with the markers of this machine: names are those of
the index, normalised (PEP 503).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

# What `calyx serve` imports: the extra `serve`, and the packages that a model is computed with.
SERVING = (
    "numpy",
    "torch",
    "safetensors",
    "pydantic",
    "pydantic-core",
    "pyyaml",
    "cryptography",
    "confusable-homoglyphs",
    "rfc8785",
    "typing-extensions",
    "httpx",
    "fastapi",
    "starlette",
    "uvicorn",
    "httptools",
    "uvloop",
    "joserfc",
    "limits",
    "prometheus-client",
    "threadpoolctl",
)
OWN = "calyx"  # of which a bill tells the very code, and not what its index would need


@dataclass(frozen=True)
class Package:
    """One package: `version` is None where it is needed and not installed here."""

    name: str
    version: str | None
    needs: tuple[str, ...] = ()  # names, sorted


def installed() -> dict[str, Distribution]:
    """All distributions that an import would see, by name; of two of one name the first."""
    known: dict[str, Distribution] = {}
    for one in distributions():
        name = one.metadata["Name"]
        if name:  # a folder that a broken installation has left behind has none
            known.setdefault(canonicalize_name(name), one)
    return known


def list_installed() -> dict[str, str]:
    """Version by name of all that is installed, sorted."""
    return {name: one.version for name, one in sorted(installed().items())}


def hash_lock(packages: Mapping[str, str]) -> str:
    """SHA-256, in hex, over the lines NAME==VERSION, sorted by name."""
    lines = "".join(f"{name}=={packages[name]}\n" for name in sorted(packages))
    return hashlib.sha256(lines.encode()).hexdigest()


def list_needed(roots: Sequence[str] = SERVING) -> list[Package]:
    """The packages `roots` and all that they need on this machine but Calyx itself, sorted by name."""
    here = installed()
    waiting = [(canonicalize_name(name), "") for name in roots]
    seen: set[tuple[str, str]] = set()
    needs: dict[str, set[str]] = {}
    while waiting:
        name, extra = one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        own = needs.setdefault(name, set())
        for requirement in _requirements(here.get(name), extra):
            other = canonicalize_name(requirement.name)
            if other == OWN:
                continue
            own.add(other)
            waiting += [(other, wanted) for wanted in ("", *requirement.extras)]
    versions = {name: here[name].version if name in here else None for name in needs}
    return [Package(name, versions[name], tuple(sorted(needs[name]))) for name in sorted(needs)]


def _requirements(of: Distribution | None, extra: str) -> Iterator[Requirement]:
    """What a package needs on this machine, or, of one of its extras, needs beside it."""
    for line in (of.requires if of else None) or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # of a package so old that no installer of today reads it either
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement
