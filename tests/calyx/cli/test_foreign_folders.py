"""Run folders that somebody else has made, at the doors of all commands that open one.

Nothing of them is followed, called or imported, and nothing beside them is changed.
"""

import os
import shutil
import sys

import pytest
from support.csv_files import write_folder
from support.run_folders import make

from calyx.cli import main
from calyx.cli.hydra_program import compose_config
from calyx.composing.compose import settle
from calyx.files import foreign
from calyx.run.folder import RunFolder

pytestmark = pytest.mark.e2e
REPORT, PREDICT, RESUME = ["report", "run"], ["predict", "run", "new.csv"], ["resume", "run"]
COMPARE = ["report", "run", "other", "--out", "page.html"]
RELEASE = ["release", "run", "--to", "releases/ours-1"]
OPENED = (REPORT, COMPARE, PREDICT, RESUME, RELEASE)
CSV = ["task=csv", "task.data_dir=rows", "privacy=none"]
IS_LINK, IS_OTHER = "is a link, and no file of a run", "is neither a file nor a folder"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sound folder that somebody else has made, its neighbour, and a file that nobody may touch."""
    folder = tmp_path_factory.mktemp("made")
    write_folder(folder / "rows", clients=3, rows=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = settle(compose_config(CSV), single=True)
    config["task"]["data_dir"] = config["client"]["data_dir"] = "rows"
    for name in ("run", "other"):
        make(folder / name, 0.8)
        RunFolder(folder / name).write_config(config)
        (folder / name / "checkpoints").mkdir()
    (folder / "new.csv").write_text("age,pressure,smoker\n50,120,no\n")
    (folder / "precious").write_text("export EDITOR=vi\n")
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A copy of it; the present folder."""
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def everything(folder):
    found = sorted(folder.rglob("*"))
    return {
        str(p): os.readlink(p) if p.is_symlink() else p.is_file() and p.read_bytes() for p in found
    }


def refused(place, capsys, arguments, words):
    before = everything(place)
    assert main.run(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert said[:-1].isprintable()
    assert everything(place) == before


@pytest.mark.parametrize(
    "name",
    ["events.jsonl", "config.yaml", "summary.json", "report.html", "checkpoints/round-000009"],
)
def test_a_link_is_refused_by_whoever_opens_the_folder(place, capsys, name):
    path = place / "run" / name
    path.unlink(missing_ok=True)
    path.symlink_to(place / ("rows" if "round" in name else "precious"))
    for arguments in OPENED:
        refused(place, capsys, arguments, f"{name} {IS_LINK}")


def test_a_name_that_a_terminal_would_obey_is_shown_harmless(place, capsys):
    (place / "rows" / "x\x1b[2J\ny.csv").write_text("a\n")
    assert main.run(["simulate", *CSV, "hydra.run.dir=new"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("calyx: the file ")
    assert "rows/x?[2J?y.csv" in said
    assert said[:-1].isprintable()


def test_a_baseline_is_a_folder_of_somebody_else_too(place, capsys):
    for name in ("audit.json", "statistics.json"):
        (place / "run" / name).symlink_to(place / "precious")
    arguments = ["audit", *CSV, "audit.baseline=run", "hydra.run.dir=new"]
    refused(place, capsys, arguments, IS_LINK)


def test_a_pipe_holds_nobody_up(place, capsys):
    (place / "run" / "rounds.jsonl").unlink()
    os.mkfifo(place / "run" / "rounds.jsonl")
    for arguments in OPENED:
        refused(place, capsys, arguments, f"rounds.jsonl {IS_OTHER}")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\n",
        "task: &t {name: digits}\nstrategy: *t\n",
        "[" * 5000,
        "task: !!python/object/apply:os.system [id]\n",
    ],
)
def test_a_config_that_stands_for_more_than_it_says_is_damaged(place, capsys, text):
    (place / "run" / "config.yaml").write_text(text)
    for arguments in (REPORT, PREDICT, RESUME, RELEASE):
        refused(place, capsys, arguments, "config.yaml")


def test_a_folder_of_another_user_is_read_and_not_written(place, capsys, monkeypatch):
    owner = place.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(foreign, "_owner_here", lambda _: owner + 1)
    for arguments in (REPORT, RESUME):
        refused(place, capsys, arguments, "belongs to another user, and is read but never written")
    assert main.run(COMPARE) == 0


def test_nobody_is_called_and_nothing_imported_because_a_folder_says_so(place, capsys, monkeypatch):
    (place / "planted.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(place)
    folder = RunFolder(place / "run")
    config = folder.read_config()
    server = {"_target_": "planted.Strategy\x1b[2J"}
    folder.write_config(config | {"strategy": config["strategy"] | {"server": server}})
    refused(place, capsys, RESUME, "nothing is imported because a folder names it")
    refused(place, capsys, [*RESUME, "strategy.server._target_=other.Class"], "nothing is imported")
    assert "planted" not in sys.modules
    folder.write_config(
        config | {"engine": {"name": "ray", "workers": 1, "address": "ray://evil:1"}}
    )
    refused(place, capsys, RESUME, "engine.address=ray://evil:1, and no address is taken from")
    # What an interpolation of Hydra's stands for is text, and none of this user's environment.
    folder.write_config(config | {"rounds": "${oc.env:HOME}"})
    refused(place, capsys, RESUME, 'rounds is "${oc.env:HOME}"')


@pytest.mark.parametrize("key", ["engine.workers=0", "task.data_dir=rows"])
def test_a_key_of_a_section_that_is_none_is_damage(place, capsys, key):
    folder = RunFolder(place / "run")
    folder.write_config(folder.read_config() | {"engine": 5, "client": [1], "task": "x"})
    refused(place, capsys, [*RESUME, key], "config.yaml is damaged")


def test_a_run_begins_in_no_folder_with_links(place, capsys):
    (place / "prepared").mkdir()
    (place / "prepared" / "notes").symlink_to(place / "precious")
    words = ["simulate", *CSV]
    refused(place, capsys, [*words, "hydra.run.dir=prepared"], f"notes {IS_LINK}")
    (place / "prepared" / "multirun.yaml").symlink_to(place / "precious")
    refused(place, capsys, [*words, "-m", "seed=1,2", "hydra.sweep.dir=prepared"], IS_LINK)


def test_what_a_user_names_may_be_a_link(place, capsys):
    """And folders that are none of a run are not entered."""
    (place / "way-in").symlink_to("run")
    (place / "run" / "venv").mkdir()
    (place / "run" / "venv" / "python").symlink_to("/usr/bin/python3")
    assert main.run(["report", "way-in"]) == 0, capsys.readouterr().err
    assert (place / "run" / "report.html").is_file()
