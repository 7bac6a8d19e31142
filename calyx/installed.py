"""What is installed here, as one hash, and the bundle that says so to Flower.

A bundle carries no code: its two components name the installed packages, and its text their hash.
An operator and a site with the same code make the same bundle; a site runs orders of that only.
"""

import hashlib
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from calyx.flower import build_bundle

PACKAGES = ("calyx", "client", "server", "strategies", "engines", "cli", "conf")
SUFFIXES = (".py", ".yaml", ".css", ".j2")
_PROJECT = """\
[project]
name = "calyx-run"
version = "{version}"
description = "The installed code {code}"
license = {{ file = "LICENSE" }}
dependencies = ["flwr>=1.41,<1.42"]
[tool.flwr.app]
publisher = "calyx"
fab-format-version = 1
flwr-version-target = "1.41.0"
[tool.flwr.app.components]
serverapp = "server.app:app"
clientapp = "client.app:app"
[tool.flwr.app.config]
config = ""
"""


def code_hash() -> str:
    """SHA-256, in hex, over names and bytes of every installed file of ours, as they are on disk."""
    state = hashlib.sha256()
    for package in PACKAGES:
        for path, name in _files(package):
            data = path.read_bytes()
            head = f"{name}\0{len(data)}\0".encode()
            state.update(head + data)
    return state.hexdigest()


def _files(package: str) -> list[tuple[Path, str]]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {package} is not installed")
    root = Path(next(iter(spec.submodule_search_locations)))
    found = [path for path in root.rglob("*") if path.suffix in SUFFIXES and path.is_file()]
    return sorted((path, f"{package}/{path.relative_to(root).as_posix()}") for path in found)


@lru_cache(maxsize=1)  # of a process: what it has imported does not change under it
def bundle() -> bytes:
    """The bundle of the installed code."""
    text = _PROJECT.format(version=version("calyx"), code=code_hash())
    return build_bundle(
        {"pyproject.toml": text.encode(), "LICENSE": b"Apache-2.0\n", "README.md": b"Calyx\n"}
    )


def bundle_hash() -> str:
    """SHA-256, in hex, of `bundle()`."""
    return hashlib.sha256(bundle()).hexdigest()
