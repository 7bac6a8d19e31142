"""How `calyx client` and `calyx server` begin: `python -I cli/isolated.py client CONFIG.yaml`.

Isolated (-I), Python leaves PYTHONPATH, the present folder and the user's own packages alone. This
file is compiled from its source, since no cache of a program's first file is read; it reads all of
our packages, and what it imports of ours from then on are those bytes (calyx/measured.py).
"""

import sys
from pathlib import Path
from types import ModuleType


def main() -> int:
    """Run the command of `sys.argv`; returns the exit code."""
    root = Path(__file__).absolute().parents[1]
    path = root / "calyx" / "measured.py"
    measured = sys.modules["calyx.measured"] = ModuleType("calyx.measured")
    measured.__file__ = str(path)
    try:
        source = path.read_bytes()
        exec(compile(source, path, "exec"), vars(measured))  # noqa: S102 - it is our own file
        importer = measured.install(root)
        if importer.contents.sources["calyx/measured.py"] != source:
            raise OSError(f"{path} changed while it was read")
    except OSError as error:
        print(f"calyx: The installed code cannot be read: {error}.", file=sys.stderr)
        return 1
    from cli.main import run

    sys.argv[0] = "calyx"
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
