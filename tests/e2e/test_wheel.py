"""The wheel, installed in an environment of its own and used from another folder, is complete."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.csv_files import COLUMNS, write_folder
from support.deploy_page import SITES, Parties, step
from support.wheels import ROOT, build_wheel, run

pytestmark = pytest.mark.e2e
PACKAGES = ("calyx", "client", "conf", "server", "strategies")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


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
    for program in Path(sys.executable).parent.glob(
        "fl*w*r*-*"
    ):  # pip makes them with the packages
        lines = program.read_text().splitlines()
        own_program = venv / "bin" / program.name
        own_program.write_text("\n".join([f"#!{venv}/bin/python", *lines[1:], ""]))
        own_program.chmod(0o755)
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
    assert any(path.startswith("calyx/pages/") and path.endswith(".j2") for path in wanted)
    assert wanted <= inside, sorted(wanted - inside)


def test_the_packages_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    show = f"import {', '.join(PACKAGES)}; print(*[m.__file__ for m in ({', '.join(PACKAGES)})])"
    files = run(installed / "bin/python", "-c", show, folder=tmp_path).split()
    assert len(files) == len(PACKAGES)
    assert all(Path(file).is_relative_to(installed) for file in files), files


def test_the_pages_unit_starts_the_program_isolated(installed: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    (line,) = re.findall(r"^ExecStart=(.+)$", page, re.MULTILINE)
    python, *words = line.replace("/srv/calyx/venv", str(installed)).split()
    (tmp_path / "evil" / "calyx" / "cli").mkdir(parents=True)
    for name in ("sitecustomize.py", "calyx/__init__.py", "calyx/cli/isolated.py"):
        (tmp_path / "evil" / name).write_text("raise SystemExit('taken')\n")
    ended = subprocess.run(
        [python, *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "evil")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "north.yaml cannot be read" in ended.stderr


@pytest.fixture(scope="module")
def federation(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    """What docs/deploy.md leaves behind before its first run; its own blocks are run.

    Its installation is `installed`: without the network pip cannot bring PyTorch.
    """
    folder = tmp_path_factory.mktemp("parties")
    ranges = {"pressure": {"kind": "numeric", "may_be_missing": True, "low": 0, "high": 300}}
    rows = write_folder(folder / "rows", clients=len(SITES), columns=COLUMNS | ranges)
    with Parties(folder, installed / "bin") as made:
        for number, name in enumerate(SITES):
            (rows / f"site-{number}.csv").rename(rows / f"{name}.csv")
            made.write(name, "data/schema.yaml", (rows / "schema.yaml").read_text())
            made.write(name, f"data/{name}.csv", (rows / f"{name}.csv").read_text())
        made.write("operator", "schema.yaml", (rows / "schema.yaml").read_text())
        [make] = step("2.")[0]
        for name in SITES:
            made.run(name, make)
        for line in step("3.")[0]:
            made.run("consortium", line)
        initialise, serve, look = step("4.")[0]
        made.run("operator", initialise)
        made.start("operator", serve, until="stops everything")
        assert "6 sites" in made.run("operator", look)
        (look, join), site = step("5.")
        written = (folder / "east" / "east.yaml").read_text()
        assert written == made.text(site, "east")
        said = " ".join(made.run("north", look).split())
        assert "60 rows of north as schema.yaml says" in said
        assert "This site can take part" in said
        for name in SITES:
            made.start(name, join, until="")
        for name in SITES:
            made.wait(name, "connected to")
        yield made


def test_the_deploy_page_gives_a_simulations_bytes_from_its_first_to_its_last_command(
    federation: Parties, tmp_path: Path
) -> None:
    submit, resume = step("6.")[0]
    said = federation.run("operator", f"{submit} rounds=1")  # and not 20
    assert "clients 6/6" in said
    (run,) = (federation.folder / "operator" / "runs").glob("*/*")
    date = re.search(r"runs/\S+", resume)
    assert date is not None
    resume = resume.replace(date[0], str(run.relative_to(federation.folder / "operator")))
    federation.run("operator", f"{resume} rounds=2")
    for line in step("Changes")[0]:
        federation.run("operator", line)
    found = json.loads((run / "summary.json").read_text())
    assert (found["engine"], found["privacy"], found["rounds"]) == ("superlink", "secagg", 2)
    assert found["preprocessing"] == "federated"  # what auto could have under the page's policy
    place = f"task.data_dir={federation.folder}/rows"
    options = f"task=csv {place} seed=7 rounds=2 baselines=false engine.workers=0"
    federation.run("consortium", f"calyx simulate {options} hydra.run.dir=simulated")
    simulated = json.loads((federation.folder / "consortium/simulated/summary.json").read_text())
    assert simulated["model_sha256"] == found["model_sha256"]
    for path in federation.folder.glob("*/keys/*.key"):
        assert path.stat().st_mode & 0o077 == 0, path
