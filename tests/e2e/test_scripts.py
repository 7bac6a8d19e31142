"""scripts/*: an environment is made once, renewed when its pins change, and never half-used.

The scripts are real, in a project folder of their own. Its .venv is a real one without pip, or
with a stand-in for pip that only notes that it was called: an install takes a minute.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
NOTED_PIP = """
import os, sys, time
with open("pip-calls", "a") as calls:
    print("begin", file=calls, flush=True)
    time.sleep(0.5)
    print("end", file=calls)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the scripts need, in a folder with a space, with an empty .venv that fits."""
    root = tmp_path / "a project"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    stamp(root)
    return root


def stamp(root: Path) -> None:
    pins = [(root / name).read_bytes() for name in ("requirements.lock", "pyproject.toml")]
    digest = hashlib.sha256(b"".join(pins)).hexdigest()
    version = f"Python {sys.version.split()[0]}"
    (root / ".venv/.stamp").write_text(f"{root.resolve()}\n{version}\n{digest}  -\n")


def put_program(root: Path, name: str, script: str) -> None:
    path = root / ".venv/bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def put_noted_pip(root: Path) -> None:
    library = sysconfig.get_path("purelib", vars={"base": str(root / ".venv")})
    package = Path(library) / "pip"
    package.mkdir()
    (package / "__main__.py").write_text(NOTED_PIP)


def start(command: Sequence[str | Path], folder: Path, **env: str) -> "subprocess.Popen[str]":
    settings = {k: v for k, v in os.environ.items() if k != "PYTHON"} | {"PIP_NO_INDEX": "1"} | env
    return subprocess.Popen(
        command, cwd=folder, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def call(command: Sequence[str | Path], folder: Path, **env: str) -> tuple[int, str, str]:
    process = start(command, folder, **env)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_an_environment_that_fits_is_used_without_pip(project: Path, tmp_path: Path) -> None:
    assert call([project / "scripts/environment"], tmp_path) == (0, "", "")


def test_simulate_runs_in_the_callers_folder_with_its_arguments(
    project: Path, tmp_path: Path
) -> None:
    put_program(project, "calyx", 'pwd; printf "%s|" "$@"')
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    command = [str(project / "scripts/simulate"), "rounds=1", "hydra.run.dir=my run"]
    expected = f"{folder.resolve()}\nsimulate|rounds=1|hydra.run.dir=my run|"
    assert call(command, folder) == (0, expected, "")


STAGES = ["ruff check .", "ruff format --check .", "mypy "]
PYTEST = "pytest --numprocesses=4 --dist=loadfile --durations=20 --durations-min=1"


def put_stages(root: Path, **codes: int) -> None:
    for name in ("ruff", "mypy", "pytest"):
        put_program(root, name, f'echo "{name} $*"; exit {codes.get(name, 0)}')


@pytest.mark.parametrize("failing", ["ruff", "mypy", "pytest"])
def test_the_tests_fail_if_one_stage_fails_and_report_the_others(
    project: Path, tmp_path: Path, failing: str
) -> None:
    put_stages(project, **{failing: 1})
    code, out, _ = call([project / "scripts/test", "-k", "a word"], tmp_path)
    assert code == 1
    assert out.splitlines() == [*STAGES, f"{PYTEST} -k a word"]


def test_the_quick_lane_leaves_out_what_starts_the_program(project: Path, tmp_path: Path) -> None:
    put_stages(project)
    code, out, _ = call([project / "scripts/test", "--quick", "-x"], tmp_path)
    assert (code, out.splitlines()) == (0, [*STAGES, f"{PYTEST} -m not e2e -x"])


def test_changed_runs_the_tests_of_what_has_changed_since_they_last_ran(
    project: Path, tmp_path: Path
) -> None:
    put_stages(project)
    put_program(project, "pytest", f'exec "{sys.executable}" -m pytest "$@" --numprocesses=0')
    subprocess.run(["git", "init", "--quiet", project], check=True)
    shutil.copy(ROOT / ".gitignore", project)
    tests = project / "tests"
    tests.mkdir()
    for name in ("a", "b"):
        (tests / f"{name}.py").write_text("def one():\n    return 1\n")
        check = f"from {name} import one\n\n\ndef test_{name}():\n    assert one() == 1\n"
        (tests / f"test_{name}.py").write_text(check)

    def ran(*arguments: str) -> int:
        code, out, err = call([project / "scripts/test", "--changed", *arguments], tmp_path)
        assert code == 0, out + err
        return int(found[1]) if (found := re.search(r"(\d+) passed", out)) else 0

    assert [ran(), ran()] == [2, 0]
    (tests / "a.py").write_text("def one():\n    return 2 - 1\n")
    assert [ran(), ran()] == [1, 0]
    (project / "ünï code.yaml").touch()  # whatever it is: it may be read by any test
    assert [ran("-k", "test_b"), ran(), ran()] == [1, 2, 0]
    (tests / "b.py").write_text("def one():\n    return 2\n")
    for _ in range(2):  # what has failed is run again
        code, out, _ = call([project / "scripts/test", "--changed"], tmp_path)
        assert (code, "1 failed" in out) == (1, True)


def test_a_changed_project_file_renews_the_environment_once(project: Path, tmp_path: Path) -> None:
    put_noted_pip(project)
    with (project / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    code, out, err = call([project / "scripts/environment"], tmp_path)
    assert (code, out, err) == (0, "", "Renewing the environment in .venv …\n")
    assert call([project / "scripts/environment"], tmp_path) == (0, "", "")
    assert (project / "pip-calls").read_text() == "begin\nend\n"


def test_an_install_that_fails_is_loud_and_tried_again(project: Path, tmp_path: Path) -> None:
    with (project / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    for _ in range(2):
        code, _, err = call([project / "scripts/environment"], tmp_path)
        assert code == 1
        assert "No module named pip" in err


def test_two_calls_at_once_install_once(project: Path, tmp_path: Path) -> None:
    put_noted_pip(project)
    with (project / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    calls = [start([project / "scripts/environment"], tmp_path) for _ in range(2)]
    errors = sorted(process.communicate(timeout=60)[1] for process in calls)
    assert [process.returncode for process in calls] == [0, 0]
    assert (project / "pip-calls").read_text() == "begin\nend\n"
    assert errors[0] == "Renewing the environment in .venv …\n"


def test_an_install_that_was_killed_is_made_again_from_nothing(
    project: Path, tmp_path: Path
) -> None:
    put_noted_pip(project)
    with (project / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    process = start([project / "scripts/environment"], tmp_path)
    while not (project / "pip-calls").exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()
    leftover = project / ".venv/leftover"
    leftover.touch()
    (project / "pyproject.toml").write_text("[")  # the new environment's real pip stops at once
    code, _, err = call([project / "scripts/environment"], tmp_path)
    assert code != 0
    assert "Making the environment in .venv" in err
    assert not leftover.exists()
    assert not (project / ".venv/.stamp").exists()


def test_an_environment_that_was_moved_is_not_used(project: Path, tmp_path: Path) -> None:
    moved = project.rename(tmp_path / "moved")
    code, _, err = call([moved / "scripts/environment"], tmp_path, PYTHON="/nowhere/python3")
    assert code == 1
    assert "/nowhere/python3" in err


def test_without_a_python_there_is_one_sentence(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".venv")
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "dirname", "cat", "sha256sum", "shasum", "head"):
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)
    code, out, err = call([project / "scripts/environment"], tmp_path, PATH=str(folder))
    assert (code, out) == (1, "")
    assert err.startswith("Calyx needs Python 3.11 or newer")
    assert err.count("\n") == 1
    assert not (project / ".venv").exists()


def test_an_environment_of_somebody_elses_is_left_alone(project: Path, tmp_path: Path) -> None:
    (project / ".venv/.stamp").unlink()
    code, _, err = call([project / "scripts/environment"], tmp_path)
    assert code == 1
    assert "did not make" in err
    assert (project / ".venv/pyvenv.cfg").exists()
