"""`calyx resume` compares each client's rows with those that the run began with, and says who differs."""

import hashlib
import json
import shlex
import shutil
from types import SimpleNamespace

import pytest
from support.csv_files import write_folder
from support.program import run_here

from calyx.cli.changed_rows import find_changed
from calyx.files.plain import read_lines
from calyx.run.folder import RunFolder

pytestmark = pytest.mark.e2e

RUN = ["simulate", "task=csv", "task.data_dir=rows", "privacy=none", "engine.workers=0"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with the rows of five sites, a run of one round, and the same run of two."""
    here = tmp_path_factory.mktemp("begun")
    write_folder(here / "rows", clients=5, rows=40)
    for name, rounds in (("run", 1), ("whole", 2)):
        words = [f"rounds={rounds}", "baselines=false", f"hydra.run.dir={name}"]
        ended = run_here(here, *RUN, *words)
        assert ended.returncode == 0, ended.stderr
    return here


@pytest.fixture
def here(begun, tmp_path, calyx):
    """The same, to be changed; the run reads the rows of this folder."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace(str(begun), str(tmp_path)))
    return tmp_path


def model_hash(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def files(folder):
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def change(rows):
    """Three sites: a value more, another order, and no file any more."""
    grown, turned = rows / "site-1.csv", rows / "site-2.csv"
    grown.write_text(grown.read_text() + "99,51,120.0,no,no,99.0\n")
    head, *lines = turned.read_text().splitlines()
    turned.write_text("\n".join([head, *reversed(lines)]) + "\n")
    (rows / "site-4.csv").unlink()


def test_whose_rows_have_changed_is_named_and_nothing_is_touched(here, calyx):
    change(here / "rows")
    before = files(here)
    ended = calyx("resume", "run", "rounds=2", "baselines=true")
    assert ended.returncode == 2
    for words in (
        "site-1 (46 rows instead of 45)",
        "site-2 (the same rows in another order)",
        "site-4 (they cannot be used: ",
        "`calyx resume run rounds=2 baselines=true --without-changed`",
    ):
        assert words in ended.stderr
    assert "site-0 (" not in ended.stderr
    assert "ClientFailure" not in ended.stderr
    assert files(here) == before


def test_a_run_goes_on_without_those_whose_rows_have_changed(here, calyx):
    """Oracle: the sizes of the two files that are left, of which a fifth is tested on."""
    change(here / "rows")
    ended = calyx("resume", "run", "rounds=3", "baselines=true", "--without-changed")
    assert ended.returncode == 0, ended.stderr
    assert "without site-1, site-2 and site-4, whose rows changed" in ended.stdout
    summary = json.loads((here / "run" / "summary.json").read_text())
    left_out = [(one["client"], one["since_round"]) for one in summary["left_out_changed"]]
    assert left_out == [("site-1", 2), ("site-2", 2), ("site-4", 2)]
    assert str(here) not in json.dumps(summary)
    tested = summary["tested_on"]
    assert (tested["clients"], tested["rows"]) == (2, round(40 / 5) + round(55 / 5))
    assert sorted(summary["baselines"]["local"]) == ["site-0", "site-3"]
    rows = read_lines(here / "run" / "rounds.jsonl")
    assert [len(row["cohort"]) for row in rows] == [5, 2, 2]
    events = [e for e in read_lines(here / "run" / "events.jsonl") if e["event"] == "left-out"]
    assert [e["client"] for e in events] == ["site-1", "site-2", "site-4"]
    again = calyx("resume", "run", "rounds=4", "baselines=false")  # they stay out
    assert again.returncode == 0, again.stderr
    assert read_lines(here / "run" / "rounds.jsonl")[3]["cohort"] == ["site-0", "site-3"]


def test_equal_rows_in_another_folder_give_the_same_bytes(here, calyx):
    (here / "rows").rename(here / "moved")
    ended = calyx("resume", "run", "rounds=2", "task.data_dir=moved", "--without-changed")
    assert ended.returncode == 0, ended.stderr
    assert "nobody is left out" in ended.stderr
    assert model_hash(here / "run") == model_hash(here / "whole")


def test_a_run_of_which_nobody_would_be_left_stops(here, calyx):
    for file in (here / "rows").glob("*.csv"):
        file.write_text(file.read_text() + "99,51,120.0,no,no,99.0\n")
    ended = calyx("resume", "run", "rounds=2", "--without-changed")
    assert (ended.returncode, "Nobody would be left" in ended.stderr) == (2, True)
    assert not (here / "run" / "left-out.json").exists()
    gone = [{"client": f"site-{i}", "since_round": 2, "why": "so"} for i in range(5)]
    (here / "run" / "left-out.json").write_text(json.dumps({"left_out_changed": gone}))
    ended = calyx("resume", "run", "rounds=2")
    assert (ended.returncode, "Every client is left out" in ended.stderr) == (2, True)


def test_a_run_of_an_older_version_says_that_nothing_could_be_compared(here, calyx):
    shutil.rmtree(here / "run" / "clients")
    change(here / "rows")
    shutil.copy(here / "rows" / "site-0.csv", here / "rows" / "site-4.csv")
    assert calyx("resume", "run", "rounds=2").returncode == 0
    said = [e["message"] for e in read_lines(here / "run" / "events.jsonl")]
    assert any("cannot be known" in message for message in said)


def test_in_a_deployment_it_is_the_sites_who_say_it(tmp_path):
    """Who was in a sum since has put its rows back."""
    folder = RunFolder(tmp_path)
    for name, number in (("a", 2), ("b", 2), ("c", 2)):
        reason = "no-rows" if name == "c" else "rows-changed"
        folder.event("client-dropped", "warning", "…", round=number, client=name, reason=reason)
    rounds = [
        {"round": 1, "cohort": ["a", "b", "c"], "dropped": []},
        {"round": 2, "cohort": ["a", "b", "c"], "dropped": ["a", "b", "c"]},
        {"round": 3, "cohort": ["a", "b", "c"], "dropped": ["b"]},
    ]
    other = {"train_loss": 1.0, "replies": 2, "bytes_up": 1, "bytes_down": 1, "seconds": 1.0}
    folder.rounds.write_text("".join(json.dumps(row | other) + "\n" for row in rounds))

    run = SimpleNamespace(engine={"name": "superlink", "workers": None, "cohort": False})
    assert find_changed(folder, run, None, "run") == {"b": "as its site says"}


def test_what_is_said_can_be_pasted_whatever_the_folder_is_called(here, calyx):
    """Oracle: a shell's own reading of the words."""
    change(here / "rows")
    (here / "run").rename(here / "my run, 'one'")
    said = calyx("resume", "my run, 'one'", "rounds=2").stderr
    words = shlex.split(said.partition("`calyx ")[2].partition("`")[0])
    assert words == ["resume", "my run, 'one'", "rounds=2", "--without-changed"]
    ended = calyx(*words)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("search", [False, True], ids=["seeds", "search"])
def test_a_sweep_does_not_go_on_with_other_rows_than_it_began_with(here, calyx, search):
    words = [*RUN, "-m", "rounds=1", "hydra.sweep.dir=s"]
    few, more = ["seed=1,2"], ["seed=1,2,3"]
    if search:
        chosen = ["hydra/sweeper=optuna", "training.lr=interval(0.1,0.5)"]
        few, more = ([*chosen, f"hydra.sweeper.n_trials={n}"] for n in (1, 2))
    assert calyx(*words, *few).returncode == 0
    grown = here / "rows" / "site-1.csv"
    grown.write_text(grown.read_text() + "99,51,120.0,no,no,99.0\n")
    before = files(here / "s")
    ended = calyx(*words, *more)
    assert ended.returncode == 2
    assert "that the job in s/0 began with: site-1 (46 rows instead of 45). " in ended.stderr
    assert files(here / "s") == before
