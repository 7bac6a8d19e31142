"""The wheel, installed in an environment of its own and used from another folder, is complete."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
PACKAGES = ("calyx", "cli", "client", "conf", "engines", "server", "strategies")


def run(*command: str | Path, folder: Path) -> str:
    settings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation")
    run(*build, "--outdir", folder, ROOT, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and this environment's packages behind it.

    A folder named in a .pth file comes after the environment's own, and the .pth files inside it
    are not read: the editable install here cannot stand in for what the wheel lacks.
    """
    venv = tmp_path_factory.mktemp("installed") / "venv"
    folder = venv.parent
    run(sys.executable, "-m", "venv", "--without-pip", venv, folder=folder)
    pip = (sys.executable, "-m", "pip", "--python", venv / "bin/python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, folder=folder)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    behind = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (own / "behind.pth").write_text("\n".join(behind) + "\n")
    return venv


def test_the_wheel_holds_every_file_that_is_not_code(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    others = {".yaml", ".j2", ".css", ".js", ".html", ".svg"}
    wanted = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.suffix in others
    }
    assert "conf/config.yaml" in wanted
    assert any(path.startswith("cli/report/") and path.endswith(".j2") for path in wanted)
    assert wanted <= inside, sorted(wanted - inside)


def test_the_packages_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    show = f"import {', '.join(PACKAGES)}; print(*[m.__file__ for m in ({', '.join(PACKAGES)})])"
    files = run(installed / "bin/python", "-c", show, folder=tmp_path).split()
    assert len(files) == len(PACKAGES)
    assert all(Path(file).is_relative_to(installed) for file in files), files


def test_the_installed_program_simulates_in_another_folder(installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    overrides = ("rounds=1", "task.num_clients=5", "baselines=false", "engine.workers=0")
    run(installed / "bin/calyx", "simulate", *overrides, "hydra.run.dir=out", folder=folder)
    assert json.loads((folder / "out/summary.json").read_text())["rounds"] == 1
