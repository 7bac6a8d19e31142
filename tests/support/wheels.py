"""The wheel, and an environment that has it and a few packages of this one, and no others."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

from calyx.releases.packages import list_needed

ROOT = Path(__file__).parents[2]


def run(*command, folder):
    """Run a command to its end, as a shell without PYTHONPATH would; what it printed."""
    settings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheel(folder) -> Path:
    """The wheel of this checkout."""
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation")
    run(*build, "--outdir", folder, ROOT, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


def make_serving(folder, wheel) -> Path:
    """What the commands of docs/serve.md make: `calyx serve --packages`, and the wheel without what it needs.

    The packages are links to those that are here, as pip would have to fetch them.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin/python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, folder=folder)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for package in list_needed():
        if package.version is None:
            continue
        for file in distribution(package.name).files or ():
            place = Path(distribution(package.name).locate_file(file.parts[0]))
            if file.parts[0] not in ("..", "__pycache__") and place.exists():
                link = own / file.parts[0]
                if link.is_dir() and not link.is_symlink() and place.is_dir():
                    shutil.copytree(place, link, dirs_exist_ok=True)  # a namespace of several
                elif not link.exists():
                    link.symlink_to(place)
    return folder
