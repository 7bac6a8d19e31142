"""Whether the code of a site is what its consortium has signed, and what nobody has looked at."""

import re
import site
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path

from calyx.config.human_yaml import NULLS, Plain, read_tree
from calyx.errors import ConfigError, printable
from calyx.files.plain import at_home, read_bounded, write_atomically
from calyx.trust.key_files import read_roster_file
from calyx.trust.manifest import Manifest, check_installed, read_manifest

_SEEN = "manifest-version"  # the newest that this site has seen, and the digest of its code
_SEEN_LINE = re.compile(r"([0-9]{1,18})(?: ([0-9a-f]{64}))?\n?")


def check_first(config: Path) -> None:
    """Compare the code with the manifest that a site's file names, before the file is understood.

    What else of ours a client needs is imported after it: other code than was signed does not run
    until it is found. Where the file lacks something, `calyx.fleet.site` says it later. Raises UserError.
    """
    tree = read_tree(config, "docs/deploy.md")
    client = tree.get("client")
    within = client if isinstance(client, dict) else {}
    named = (tree.get("manifest"), within.get("roster"), within.get("state_dir"))
    places = [Path(at_home(word)) for word in named if isinstance(word, str) and not _is_null(word)]
    if len(places) == len(named):
        manifest, roster, state_dir = places
        check_code(manifest, read_roster_file(roster).consortium, state_dir)


def _is_null(word: str) -> bool:
    return isinstance(word, Plain) and word in NULLS


def check_code(path: Path, consortium: bytes, state_dir: Path) -> Manifest:
    """Nothing runs that the consortium has not signed, nor what it has replaced since.

    A version stands for one content: the newest that this site has seen is kept with its digest.
    Raises UserError.
    """
    manifest = read_manifest(path, consortium)
    newest, code = _read_seen(state_dir / _SEEN)
    if manifest.version < newest:
        raise ConfigError(
            f"{path} has version {manifest.version}, and this site has seen {newest}: no way back."
        )
    if manifest.version == newest and code not in (None, manifest.code):
        raise ConfigError(
            f"{path} is another manifest of version {newest} than this site has seen, with other code: "
            "find out from the consortium why there are two, and ask it for one of a higher version."
        )
    check_installed(manifest)
    return manifest


def _read_seen(path: Path) -> tuple[int, str | None]:
    """The newest version, and its code; before there were digests it stood there alone."""
    if not path.exists():
        return 0, None
    line = _SEEN_LINE.fullmatch(read_bounded(path, 128).decode(errors="replace"))
    if line is None:
        raise ConfigError(f"{path} is damaged; write the version of the newest manifest into it.")
    return int(line[1]), line[2]


def note_seen(manifest: Manifest, state_dir: Path) -> None:
    """Keep that this site has seen a manifest. Raises OSError."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(state_dir / _SEEN, f"{manifest.version} {manifest.code}".encode())


def describe_unmeasured() -> str:
    """What runs on a site beside the code that a manifest measures, as the end of a sentence."""
    at_start = runs_at_start()
    also = f"; run at each start of Python: {', '.join(at_start)}" if at_start else ""
    return f"libraries and Python itself are measured by no manifest{also}"


def runs_at_start() -> tuple[str, ...]:
    """What the environment makes Python run before a program begins: files that no manifest measures."""
    folders = site.getsitepackages()
    startup = [path for one in folders for path in sorted(Path(one).glob("*.pth")) if _runs(path)]
    searched = [*sysconfig.get_paths().values(), *folders]
    spec = PathFinder.find_spec("sitecustomize", searched)
    ran = sys.modules.get("sitecustomize")  # also from a folder that a .pth file names
    origins = {
        str(place) for place in (spec and spec.origin, getattr(ran, "__file__", None)) if place
    }
    return tuple(printable(str(path)) for path in [*sorted(origins), *startup])


def _runs(path: Path) -> bool:
    """Whether a .pth file has a line that Python executes; others name folders."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return False
    return any(line.startswith((b"import ", b"import\t")) for line in lines)
