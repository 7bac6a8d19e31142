"""docs/bring-your-own.md, word for word: every command and every block of it, as a newcomer does."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from support.csv_files import write_exports

pytestmark = pytest.mark.e2e
TEXT = (Path(__file__).parents[2] / "docs" / "bring-your-own.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
]
SHORT = ["rounds=2", "baselines=false", "engine.workers=1"]


def block(kind, start):
    (found,) = [b for b in re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL) if start in b]
    return found


@pytest.fixture
def newcomer(tmp_path):
    """An environment that has what this one has, in which packages can be installed; and a folder."""
    venv.create(tmp_path / "venv", with_pip=False)
    place = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    here = [p for p in sys.path if p.endswith("site-packages")] + [str(Path(__file__).parents[2])]
    (place / "here.pth").write_text("\n".join([*here, sysconfig.get_paths()["purelib"]]) + "\n")
    python, programs = tmp_path / "venv" / "bin" / "python", tmp_path / "venv" / "bin"
    pip = f"{sys.executable} -m pip --python {python}"
    offline = "--quiet --no-deps --no-build-isolation --no-index"
    for name, command in (
        ("calyx", f"{python} -c 'import sys; from calyx.cli.main import main; main()' \"$@\""),
        ("pytest", f'{python} -m pytest --quiet "$@"'),
        ("pip", f'{pip} "$@" {offline}'),
    ):
        (programs / name).write_text(f"#!/bin/sh\nexec {command}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "work").mkdir()
    return tmp_path / "work", os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # those that this environment has
    }


def shortened(line):
    return " ".join([line, *SHORT]) if line.startswith("calyx simulate") else line


def do(newcomer, line):
    folder, environment = newcomer
    ended = subprocess.run(
        shortened(line),
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
    return ended


def between(start, end):
    """The page's commands from the one that begins with `start` up to the one before `end`."""
    first = next(i for i, line in enumerate(COMMANDS) if line.startswith(start))
    last = next((i for i, line in enumerate(COMMANDS) if line.startswith(end)), len(COMMANDS))
    return COMMANDS[first:last]


def test_a_folder_of_exports_is_drafted_and_is_a_federation(calyx, tmp_path):
    folder = write_exports(tmp_path / "rows")
    listed = block("", "rows/\n  site-0.csv").split("site-1.csv")[0]
    first = (folder / "site-0.csv").read_text(encoding="utf-8-sig").splitlines()[:3]
    assert [words.strip() for words in listed.partition("site-0.csv")[2].splitlines()][:3] == first
    (folder / "site-8.tsv").write_text("no comma\n")
    said = [calyx(*shortened(line).split()[1:]) for line in between("calyx audit", "calyx new")]
    assert [ended.returncode for ended in said] == [0, 0, 0], [ended.stderr for ended in said]
    assert (folder / "schema.yaml").read_text() == block("yaml", "# A draft")
    assert "target  sick, 2 classes; a guess by its name" in said[0].stdout
    assert said[0].stdout.endswith("next    calyx simulate task=csv task.data_dir=rows\n")
    run = tmp_path / "runs" / "sick"
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["task"], summary["privacy"], summary["num_clients"]) == ("csv", "secagg", 6)
    assert "<html" in (run / "report.html").read_text()
    rows = (tmp_path / "predictions.csv").read_text().splitlines()
    assert rows[0] == "id,predicted,p(no),p(yes)"
    assert [row.partition(",")[0] for row in rows[1:]] == [str(3000 + i) for i in range(70)]


def test_a_package_of_ones_own_trains_tests_and_brings_a_strategy(newcomer):
    folder, environment = newcomer
    before, after = "pytest fleet", "calyx simulate task=fleet strategy=careful"
    for line in [*between("calyx new", before), before]:
        do(newcomer, line)
    package = folder / "fleet" / "fleet"
    (package / "careful.py").write_text(block("python", "class Careful"))
    (package / "conf" / "strategy").mkdir()
    (package / "conf" / "strategy" / "careful.yaml").write_text(block("yaml", "name: careful"))
    with (folder / "fleet" / "pyproject.toml").open("a") as file:
        file.write("\n" + block("toml", "calyx.strategies"))
    again, line = COMMANDS[COMMANDS.index(before) + 1 :][:2]
    assert line.startswith(after)
    do(newcomer, again)
    do(newcomer, f"{line} hydra.run.dir=runs/careful")
    summary = json.loads((folder / "runs" / "careful" / "summary.json").read_text())
    assert (summary["task"], summary["strategy"]) == ("fleet", "careful")
    assert "fleet" in do(newcomer, "calyx simulate task=fleet --cfg job").stdout

    (package / "task.py").write_text("import nothing_of_this_name\n")
    ended = subprocess.run(
        ["calyx", "simulate", "task=fleet"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "task 'fleet' of the package fleet cannot be imported" in ended.stderr


def test_its_experiment_is_one_of_those_that_test_commands_runs():
    (line,) = [line for line in COMMANDS if "experiment=" in line]
    name = line.removeprefix("calyx simulate experiment=")
    assert (Path(__file__).parents[2] / "conf" / "experiment" / f"{name}.yaml").exists()
