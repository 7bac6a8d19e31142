"""Writes the package of `calyx new NAME`: whole, or not at all."""

import keyword
import os
import tempfile
from collections.abc import Sequence
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

import numpy as np

from calyx.cli.arguments import Parser
from calyx.errors import UserError
from calyx.seeding import rng

CLIENTS = ("berlin", "kyoto", "lagos", "lima", "oslo", "perth", "quito", "turin")
ROWS = 80


def main(arguments: Sequence[str]) -> int:
    """Write ./NAME and say how to go on. Raises UserError."""
    parser = Parser(prog="calyx new", description="a package with a task of your own, in ./NAME")
    parser.add_argument("name", help="of the package and of its task: letters, digits, _")
    name = parser.parse_args(arguments).name
    check_name(name)
    target = Path(name)
    if os.path.lexists(target):
        raise UserError(f"There is a {target} here already; choose another name.")
    with tempfile.TemporaryDirectory(dir=".", prefix=f".{name}.") as beside:
        package = Path(beside) / name
        write_package(package, name)
        package.rename(target)
    print(f"{name}/ is a package with a task. Go on with:")
    print(f"  pip install -e {name}")
    print(f"  calyx simulate task={name}")
    print(f"Then change {name}/{name}/task.py and the files in {name}/{name}/data.")
    return 0


def check_name(name: str) -> None:
    """Raise UserError unless this can be a package's and a task's name."""
    if not name.isascii() or not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(f"{name!r} is no name for a package; use letters, digits and _.")
    if name != name.lower() or name.startswith("_"):
        raise UserError(f"{name!r}: write the name small, and begin with a letter.")
    if name in entry_points(group="calyx.tasks").names:
        raise UserError(f"There is a task {name!r} already; choose another name.")
    if find_spec(name) is not None:
        raise UserError(f"There is a Python package {name!r} already; choose another name.")


def write_package(folder: Path, name: str) -> None:
    """The package's files: `folder` is its project, `folder/name` what is imported."""
    package = folder / name
    places = {
        "pyproject.toml": folder / "pyproject.toml",
        "README.md": folder / "README.md",
        "init.py": package / "__init__.py",
        "task.py": package / "task.py",
        "task.yaml": package / "conf" / "task" / f"{name}.yaml",
        "test_task.py": folder / "tests" / f"test_{name}.py",
    }
    class_name = "".join(part.capitalize() for part in name.split("_"))
    for template, path in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = files("calyx.cli.new").joinpath("template", f"{template}.tmpl").read_text("utf-8")
        path.write_text(Template(text).substitute(name=name, class_name=class_name))
    (package / "conf" / "__init__.py").write_text('"""Hydra configs of the task."""\n')
    (package / "data").mkdir()
    for client in CLIENTS:
        (package / "data" / f"{client}.csv").write_text(make_up_rows(client))


def make_up_rows(client: str) -> str:
    """Rows of one client, drawn from its name: what a machine reads, and whether it fails."""
    draw = rng(1, "calyx new", client=client)
    heat = draw.normal(60 + 10 * draw.random(), 12, ROWS)
    shake = draw.gamma(4, 1.5, ROWS)
    load = draw.random(ROWS)
    risk = 0.08 * (heat - 65) + 0.5 * (shake - 6) + 2 * (load - 0.5) + draw.normal(0, 0.7, ROWS)
    lines = ["temperature,vibration,load,state"]
    for i in range(ROWS):
        shown = "" if draw.random() < 0.04 else f"{shake[i]:.2f}"
        state = "fails" if risk[i] > np.median(risk) else "fine"
        lines.append(f"{heat[i]:.1f},{shown},{load[i]:.3f},{state}")
    return "\n".join(lines) + "\n"
