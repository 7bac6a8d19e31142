"""`calyx doctor`: what this machine has, what would not work here, and how to mend it.

`calyx doctor server` and `calyx doctor site SITE.yaml` look at the two roles of separate machines;
`calyx doctor privacy` plans cohorts and groups instead.
"""

import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from calyx.cli.checks import Check, show
from calyx.errors import UserError
from calyx.machine.cgroups import cpu_quota, memory_left
from calyx.machine.hardware import cores, gpu_count
from calyx.words.sentences import say_count

_OTHERS = {
    "server": "calyx.cli.doctor_server",
    "site": "calyx.cli.doctor_site",
    "privacy": "calyx.cli.planner",
}
MIN_DISK_BYTES = 200 * 2**20
MIN_MEMORY_BYTES = 2**30


def main(arguments: Sequence[str]) -> int:
    """Print a table; 0 if a simulation can run here, 1 if there is a problem. Raises UserError."""
    if list(arguments) in (["-h"], ["--help"]):
        print(f"{__doc__}\nEach says more: calyx doctor server --help, calyx doctor site --help.")
        return 0
    if arguments and arguments[0] in _OTHERS:
        module = import_module(_OTHERS[arguments[0]])
        return int(module.main(arguments[1:]))
    if arguments:
        raise UserError(
            f"calyx doctor takes {', '.join(_OTHERS)} or nothing, and got {' '.join(arguments)}."
        )
    return show([check() for check in CHECKS], "A simulation can run here.")


def _python() -> Check:
    where = f"{platform.python_version()} at {sys.prefix}"
    if sys.prefix == sys.base_prefix:
        return Check(
            "Python",
            "note",
            where,
            "use a virtual environment: Calyx installs packages called server, client, …",
        )
    return Check("Python", "ok", where)


def packages() -> Check:
    """Whether what is installed is what Calyx asks for."""
    wrong = []
    for line in requires("calyx") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is not {requirement.specifier}")
    shown = ", ".join(f"{name} {version(name)}" for name in ("calyx", "flwr", "torch"))
    if wrong:
        return Check(
            "packages",
            "problem",
            "; ".join(wrong),
            "make the environment again from requirements.lock",
        )
    return Check("packages", "ok", shown)


def _names() -> Check:
    tasks = sorted(entry_points(group="calyx.tasks").names)
    strategies = sorted(entry_points(group="calyx.strategies").names)
    known = f"tasks: {', '.join(tasks)}; strategies: {', '.join(strategies)}"
    if not tasks or not strategies:
        return Check(
            "entry points", "problem", known, "install the project again: pip install -e ."
        )
    return Check("entry points", "ok", known)


def _processor() -> Check:
    count = cores()
    quota, there = cpu_quota(), os.cpu_count() or count
    why = "" if quota is None else f", with a quota of {quota:g} (cgroup)"
    of = f" of {there}{why}" if count < there or why else ""
    words = f"{say_count(count, 'core')}{of}: engine.workers={count} by default, one thread each"
    if "fork" not in multiprocessing.get_all_start_methods():
        return Check(
            "processor", "note", words, "no fork here: workers start slowly, once a run (spawn)"
        )
    return Check("processor", "ok", words)


def _memory() -> Check:
    try:
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return Check("memory", "note", "unknown", "")
    limit = memory_left()
    within = "" if limit is None or limit > available else " within its limit (cgroup)"
    available = available if limit is None else min(limit, available)
    words = f"{available / 2**30:.1f} GiB free{within}"
    if available < MIN_MEMORY_BYTES:
        return Check(
            "memory",
            "problem",
            words,
            "close other programs, or use engine.workers=1: 1 GiB is needed",
        )
    return Check("memory", "ok", words)


def _gpu() -> Check:
    import torch

    if not torch.version.cuda:
        words = "this PyTorch is a CPU build: hardware=auto takes the CPU, hardware=gpu is refused"
        mend = (
            "for a GPU, install a CUDA build of the same torch version"
            if shutil.which("nvidia-smi")
            else ""
        )
        return Check("GPU", "note" if mend else "ok", words, mend)
    count = gpu_count()
    if count == 0:
        return Check("GPU", "ok", "none: hardware=auto takes the CPU, hardware=gpu is refused")
    return Check("GPU", "ok", f"{count}: hardware=auto takes the first; hardware=cpu does not")


def _folder() -> Check:
    here = Path.cwd()
    try:
        with tempfile.NamedTemporaryFile(dir=here):
            free = shutil.disk_usage(here).free
    except OSError as error:
        return Check(
            "folder",
            "problem",
            f"{here} cannot be written ({error.strerror})",
            "go elsewhere, or set hydra.run.dir",
        )
    words = f"{here} is writable, {free / 2**30:.1f} GiB free"
    if free < MIN_DISK_BYTES:
        return Check(
            "folder", "problem", words, "free some space, or set hydra.run.dir to another disk"
        )
    return Check("folder", "ok", words)


def _terminal() -> Check:
    if sys.stdout.isatty():
        return Check("terminal", "ok", "live display")
    return Check("terminal", "ok", "no terminal: one plain line a round")


CHECKS: tuple[Callable[[], Check], ...] = (
    _python,
    packages,
    _names,
    _processor,
    _memory,
    _gpu,
    _folder,
    _terminal,
)
