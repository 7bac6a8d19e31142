"""Python environments with packages of this one and others, for programs that run isolated.

`calyx client` and `calyx server` read no PYTHONPATH: what they shall find is installed for them.
"""

import sysconfig
import venv
from collections.abc import Iterable
from pathlib import Path

_PROGRAMS = ("calyx", "flower-*", "flwr*")


def own_places() -> list[Path]:
    """Where this environment's packages are installed."""
    return [Path(place) for place in dict.fromkeys(map(sysconfig.get_path, ("purelib", "platlib")))]


def make_environment(folder: Path, places: Iterable[Path]) -> Path:
    """An environment in `folder` that finds packages in `places`, the first before the next.

    Returns its interpreter; beside it are the programs of this environment. A .pth file inside a place is
    not read: an editable install there stands in for nothing.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (own / "places.pth").write_text("".join(f"{place.absolute()}\n" for place in places))
    add_programs(folder / "bin")
    return folder / "bin" / "python"


def add_programs(folder: Path) -> None:
    """Copy the programs of this environment that `folder` lacks, for the interpreter there."""
    scripts = Path(sysconfig.get_path("scripts"))
    for program in sorted(path for pattern in _PROGRAMS for path in scripts.glob(pattern)):
        own = folder / program.name
        if not own.exists():
            lines = program.read_text().splitlines()
            own.write_text("\n".join([f"#!{folder / 'python'}", *lines[1:], ""]))
            own.chmod(0o755)
