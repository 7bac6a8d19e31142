"""scripts/*: an environment is made once, renewed when its pins change, and never half-used.

The scripts are real, in a project folder of their own. Its .venv is a real one without pip, or
with a stand-in for pip that only notes that it was called: an install takes a minute.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
NOTED_PIP = """
import sys, time
with open("pip-calls", "a") as calls:
    print("begin", sys.argv[-1], file=calls, flush=True)
    time.sleep(0.5)
    print("end", file=calls)
"""
FAILING_PIP = """
print("Collecting calyx")
print("ERROR: Could not find a version that satisfies the requirement flwr")
sys.exit(1)
"""
PINS = ("requirements.lock", "pyproject.toml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the scripts need, in a folder with a space, with an empty .venv that fits."""
    root = tmp_path / "a project"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in PINS:
        shutil.copy(ROOT / name, root)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    stamp(root)
    return root


def stamp(root: Path, extras: str = "sweep dev") -> None:
    pins = [(root / name).read_bytes() for name in PINS]
    digest = hashlib.sha256(b"".join(pins)).hexdigest()
    version = f"Python {sys.version.split()[0]}"
    (root / ".venv/.stamp").write_text(f"{root.resolve()}\n{version}\n{digest}  -\n{extras}\n")


def put_program(root: Path, name: str, script: str) -> None:
    path = root / ".venv/bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def put_noted_pip(root: Path, then: str = "") -> None:
    library = sysconfig.get_path("purelib", vars={"base": str(root / ".venv")})
    package = Path(library) / "pip"
    package.mkdir(exist_ok=True)
    (package / "__main__.py").write_text(NOTED_PIP + then)


def change(root: Path) -> None:
    with (root / "pyproject.toml").open("a") as file:
        file.write("# changed\n")


def asked_for(root: Path) -> list[str]:
    """What pip was called for, each time."""
    lines = (root / "pip-calls").read_text().splitlines()
    return [line.removeprefix("begin ") for line in lines if line != "end"]


def start(
    command: Sequence[str | Path], folder: Path, *, new_group: bool = False, **env: str
) -> "subprocess.Popen[str]":
    settings = {k: v for k, v in os.environ.items() if k != "PYTHON"} | {"PIP_NO_INDEX": "1"} | env
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        command, cwd=folder, env=settings, text=True, start_new_session=new_group, **pipes
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


def test_running_needs_few_packages_and_what_was_added_stays(project: Path, tmp_path: Path) -> None:
    put_noted_pip(project)
    environment = project / "scripts/environment"
    stamp(project, "")
    for extras in ([], ["ray", "dev"], ["dev"], []):  # to simulate, then to test, then to simulate
        assert call([environment, *extras], tmp_path)[:2] == (0, "")
    assert asked_for(project) == [".[sweep]", ".[sweep,ray,dev]"]
    change(project)
    assert call([environment], tmp_path)[0] == 0
    assert asked_for(project)[2:] == [".[sweep,ray,dev]"]


def test_what_is_added_is_said_and_what_is_no_extra_refused(project: Path, tmp_path: Path) -> None:
    put_noted_pip(project)
    code, out, err = call([project / "scripts/environment", "mnist"], tmp_path)
    assert (code, out) == (0, "")
    said, ready = err.splitlines()
    assert said == "Adding mnist to the environment in .venv …"
    assert re.fullmatch(r"  0:0\d  ready", ready)
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    expected = f"There is no extra rayy; there are {' '.join(sorted(extras))}.\n"
    refused = call([project / "scripts/environment", "ray", "rayy"], tmp_path)
    assert refused == (2, "", expected)
    assert asked_for(project) == [".[sweep,dev,mnist]"]


def test_a_changed_project_file_renews_the_environment_once(project: Path, tmp_path: Path) -> None:
    put_noted_pip(project)
    change(project)
    code, out, err = call([project / "scripts/environment"], tmp_path)
    assert (code, out) == (0, "")
    assert err.startswith("Renewing the environment in .venv …\n")
    assert call([project / "scripts/environment"], tmp_path) == (0, "", "")
    assert len(asked_for(project)) == 1


def test_an_install_that_fails_says_why_and_is_tried_again(project: Path, tmp_path: Path) -> None:
    put_noted_pip(project, FAILING_PIP)
    change(project)
    for _ in range(2):
        code, out, err = call([project / "scripts/environment"], tmp_path)
        assert (code, out) == (1, "")
        renewing, why, *sentence = err.splitlines()
        assert renewing.startswith("Renewing")
        assert why == "ERROR: Could not find a version that satisfies the requirement flwr"
        assert " ".join(sentence).startswith("The environment in .venv could not be made")
    assert "Collecting calyx" in (project / ".venv/.pip.log").read_text()
    put_noted_pip(project)
    assert call([project / "scripts/environment"], tmp_path)[0] == 0


def test_two_calls_at_once_install_once(project: Path, tmp_path: Path) -> None:
    put_noted_pip(project)
    change(project)
    calls = [start([project / "scripts/environment"], tmp_path) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in calls]
    assert [process.returncode for process in calls] == [0, 0]
    assert len(asked_for(project)) == 1
    assert sum("Renewing the environment in .venv …\n" in error for error in errors) == 1


def test_ctrl_c_ends_pip_and_leaves_no_half_made_environment(project: Path, tmp_path: Path) -> None:
    put_noted_pip(project, "time.sleep(60)")
    change(project)
    process = start([project / "scripts/environment"], tmp_path, new_group=True)
    while not (project / "pip-calls").exists():
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)  # ends when nobody holds its stderr any more
    assert process.returncode == 130
    assert err == "Renewing the environment in .venv …\n"
    assert not (project / ".venv/.stamp").exists()


def test_an_install_that_was_killed_is_made_again_from_nothing(
    project: Path, tmp_path: Path
) -> None:
    put_noted_pip(project)
    change(project)
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
    assert "could not be made" in err
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
