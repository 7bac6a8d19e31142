"""Which code may run on a site: the hash of what is installed, signed by the consortium.

A site with a manifest looks at its own files before it connects ("secure boot"), and takes no
manifest that is older than one it has seen.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from calyx.errors import UserError
from calyx.files import read_bounded, strict_json
from calyx.installed import code_hash
from calyx.secagg.keys import sign, verify

_FIELDS = {"version", "code", "signature"}


@dataclass(frozen=True)
class Manifest:
    """A version that only grows, and the code that it allows."""

    version: int
    code: str  # SHA-256, in hex, as `installed.code_hash` gives it


def write_manifest(version: int, consortium_private: bytes) -> str:
    """The signed manifest of the code that is installed here, as JSON."""
    code = code_hash()
    signature = sign(consortium_private, "manifest", version, code)
    value = {"version": version, "code": code, "signature": signature.hex()}
    return strict_json(value, indent=2) + "\n"


def read_manifest(path: Path, consortium: bytes) -> Manifest:
    """A manifest whose signature is the consortium's. Raises UserError."""
    try:
        value = json.loads(read_bounded(path, 2**16))
        if set(value) == _FIELDS and type(value["version"]) is int and value["version"] >= 1:
            code, signature = str(value["code"]), bytes.fromhex(value["signature"])
            if verify(consortium, signature, "manifest", value["version"], code):
                return Manifest(value["version"], code)
    except (ValueError, TypeError, RecursionError):
        pass
    raise UserError(
        f"{path} is no manifest that the roster's consortium has signed; ask it for another."
    )


def check_installed(manifest: Manifest) -> None:
    """Compare the files on this disk with the manifest. Raises UserError."""
    found = code_hash()
    if found != manifest.code:
        raise UserError(
            f"The installed code ({found[:16]}…) is not what manifest {manifest.version} allows "
            f"({manifest.code[:16]}…): install that version again, or see who changed a file."
        )
