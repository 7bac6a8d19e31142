"""What is installed here, as one hash, and the bundle that says so to Flower.

A bundle carries no code: its two components name the installed packages, and its text their hash.
An operator and a site with the same code make the same bundle; a site runs orders of that only.
See docs/decisions/0016.
"""

import hashlib
from functools import lru_cache
from importlib.metadata import version

from calyx.flower.messages import build_bundle
from calyx.trust.measured import contents

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
    """SHA-256, in hex, over names and bytes of every installed file of ours."""
    return contents().code


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
