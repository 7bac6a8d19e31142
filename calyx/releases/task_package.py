"""The package of somebody else's task: whose code a release needs beside Calyx's, byte for byte.

A release verifies on a machine where `package_of` gives the same. See docs/decisions/0061 for what is hashed.
"""

from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from calyx.errors import UserError, printable
from calyx.releases.card_parts import PackagePart
from calyx.tasks.registry import GROUPS
from calyx.trust.measured import PACKAGES, read_packages


def package_of(task: str) -> PackagePart | None:
    """The package that brings the task `task`, which is installed; None where it is Calyx's own.

    Nothing of it is imported. Raises UserError where its files cannot be read, or hold compiled code,
    which no hash of sources covers.
    """
    points = [point for point in entry_points(group=GROUPS["task"]) if point.name == task]
    if not points:
        raise UserError(
            f"There is no task {printable(task, 80)!r} here; install the package that has it."
        )
    point = points[0]
    module = point.module.partition(".")[0]
    if module in PACKAGES:
        return None
    try:
        read = read_packages({module: _place_of(module)})
    except OSError as error:
        raise UserError(f"The package {module} cannot be read: {error}.") from None
    if read.strangers:
        raise UserError(
            f"The package {module} of task={task} cannot be released: {printable(read.strangers[0])}. Its "
            "code is told by its sources, as files of their own; take it out, or install the package again."
        )
    return PackagePart(
        distribution=point.dist.name if point.dist else module,
        version=_version_of(point),
        modules=(module,),
        sha256=read.code,
    )


def _version_of(point: EntryPoint) -> str:
    return point.dist.version if point.dist else "unknown"


def _place_of(module: str) -> Path:
    """The folder of a package, or its one file. Raises OSError."""
    spec = PathFinder.find_spec(module)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if len(folders) == 1:
        return Path(folders[0])
    if spec is None or not spec.origin or folders:
        raise OSError("it lies in no one folder")
    return Path(spec.origin)
