"""How `calyx client`, `server` and `serve` begin: `python -I calyx/cli/isolated.py client CONFIG.yaml`.

Isolated (-I), Python leaves PYTHONPATH, the present folder and the user's own packages alone. This
file is compiled from its source, since no cache of a program's first file is read; it reads all of
our packages, and what it imports of ours from then on are those bytes (calyx/trust/measured.py).
See docs/decisions/0061.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import ExecutionLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

_COMMANDS = (["client"], ["server"], ["serve"])
_PATHS = ("PYTHONHOME", "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE")


def enter(arguments: Sequence[str]) -> None:
    """Become an isolated process for a command that strangers talk to, under the same process id."""
    if [word for word in arguments if word != "--debug"][:1] not in _COMMANDS:
        return
    options = ["-I", "-u"] if os.environ.get("PYTHONUNBUFFERED") else ["-I"]
    first = str(Path(__file__).absolute())
    os.execv(sys.executable, [sys.executable, *options, first, *arguments])  # noqa: S606 - ourselves


def say_left_aside() -> str | None:
    """A sentence about variables that name folders of code, and are not read here; None without any."""
    names = [name for name in _PATHS if name in os.environ] if sys.flags.isolated else []
    if not names:
        return None
    verb = "are" if len(names) > 1 else "is"
    return f"{', '.join(names)} {verb} set, and not used: this command runs isolated from it."


class _Source(ExecutionLoader):
    """Loads one module by compiling its source; no cache of compiled code is read."""

    def __init__(self, path: Path, source: bytes) -> None:
        self._path, self._source = path, source

    def get_filename(self, fullname: str) -> str:
        """Where its bytes are from."""
        return str(self._path)

    def get_source(self, fullname: str) -> str:
        """The text of the one module."""
        return self._source.decode()


def main() -> int:
    """Run the command of `sys.argv`; returns the exit code."""
    if not sys.flags.isolated:
        enter(sys.argv[1:])
    root = Path(__file__).absolute().parents[2]
    try:
        _import_measured(root)
    except OSError as error:
        print(f"calyx: The installed code cannot be read: {error}.", file=sys.stderr)
        return 1
    from calyx.cli.main import run

    sys.argv[0] = "calyx"
    return run(sys.argv[1:])


def _import_measured(root: Path) -> None:
    """Have all modules of ours imported as calyx/trust/measured.py does it. Raises OSError."""
    name, path = "calyx.trust.measured", root / "calyx" / "trust" / "measured.py"
    source = path.read_bytes()
    loader = _Source(path, source)
    spec = spec_from_loader(name, loader)
    if spec is None:  # only without a loader
        raise OSError(f"{path} cannot be loaded")
    before = set(sys.modules)
    measured = sys.modules[name] = module_from_spec(spec)
    loader.exec_module(measured)
    if measured.install(root).sources["calyx/trust/measured.py"] != source:
        raise OSError(f"{path} changed while it was read")
    early = sorted(one for one in before if one.partition(".")[0] in measured.PACKAGES)
    if early:
        raise OSError(f"{early[0]} was imported before it: see .pth files and sitecustomize")


if __name__ == "__main__":
    sys.exit(main())
