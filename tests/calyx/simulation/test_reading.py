"""Whose rows are read before a run, and what becomes of those that are read later."""

from pathlib import Path

import numpy as np
import pytest
from support.csv_files import CLASSES, write_folder

from calyx.composing.compose import compose, settle
from calyx.errors import DataError
from calyx.files.plain import read_lines
from calyx.run.folder import RunFolder
from calyx.simulation.planning import plan
from calyx.simulation.reading import MOST_READ, Remarks, first_asked
from calyx.simulation.run import simulate
from calyx.tasks.csv import Csv
from client.journal import Note
from client.rows import data

NO_AUDIT = "phases=[preprocess,train,validate,release]"
FEW = [NO_AUDIT, "privacy=none", "cohort_size=2", "min_replies=1", "rounds=6", "training.epochs=1"]
QUIET = ["engine.workers=0", "baselines=false", "evaluate=with_training", "stopping.patience=null"]


def planned(folder, *overrides, **how):
    data.forget()
    words = ["task=csv", f"task.data_dir={folder}", "preprocessing=local", *FEW, *QUIET, *overrides]
    return plan(settle(compose(words), single=True), **how)


def simulated(folder, out, *overrides, resume=False, **how):
    made = planned(folder, *overrides, **how)
    simulate(made, out, resume=resume, progress=lambda *_: None)
    return made


@pytest.fixture
def rows(tmp_path):
    return write_folder(tmp_path / "rows")


@pytest.fixture
def loaded(monkeypatch):
    """The clients whose rows were loaded, in order."""
    names, load = [], Csv.load

    def counted(task, client, data_dir, seed):
        names.append(client)
        return load(task, client, data_dir, seed)

    monkeypatch.setattr(Csv, "load", counted)
    return names


def cohorts(out):
    """Who was asked in each round."""
    return [row["cohort"] for row in read_lines(out / "rounds.jsonl")]


def test_only_the_next_rounds_cohort_is_read_before_it(rows, loaded, tmp_path):
    simulated(rows, tmp_path / "run")
    first, second = cohorts(tmp_path / "run")[:2]
    for number, cohort in ((1, first), (2, second)):
        loaded.clear()
        made = planned(rows, round=number)
        assert sorted(set(loaded)) == sorted(cohort) == sorted(site.name for site in made.sites)


def test_everybody_is_read_where_everybody_is_asked_first(rows):
    assert len(planned(rows, "phases=[audit,preprocess,train,validate,release]").sites) == 7
    assert len(planned(rows, "cohort_size=null").sites) == 7


@pytest.mark.parametrize("words", [NO_AUDIT, "phases=[audit]"])
def test_of_many_that_are_asked_first_a_hundred_are_read(rows, words):
    run, names = planned(rows, "cohort_size=null", words).run, [f"site-{i}" for i in range(1000)]
    assert len(first_asked(run, names, 1)) == MOST_READ


def test_whoever_a_census_leaves_out_is_not_read(rows):
    words = "phases=[audit,preprocess,train,validate,release]", "census_size=3"
    assert len(planned(rows, *words).sites) == 3


def test_what_a_client_says_of_its_rows_is_written_once_when_it_is_first_asked(rows, tmp_path):
    simulated(rows, tmp_path / "run", "rounds=3", "engine.workers=2")
    simulated(rows, tmp_path / "run", "rounds=6", "engine.workers=2", resume=True, round=4)
    told = [row for row in read_lines(tmp_path / "run" / "clients.jsonl") if row["kind"] == "data"]
    names = [row["client"] for row in told]
    lines = {f"site-{i}": 60 + 5 * i for i in range(7)}
    assert len(set(names)) == len(names)
    assert set().union(*cohorts(tmp_path / "run")) <= set(names)
    assert all(sum(row["rows"].values()) == lines[row["client"]] for row in told)


def test_data_that_is_found_broken_later_ends_the_run_which_goes_on_when_it_is_mended(
    rows, tmp_path
):
    simulated(rows, tmp_path / "whole")
    asked = cohorts(tmp_path / "whole")
    late = next(name for name in asked[2] if name not in {*asked[0], *asked[1]})
    path, out = rows / f"{late}.csv", tmp_path / "run"
    sound = path.read_text()
    path.write_text(sound + "1,old,?,no,no,1.0\n")
    with pytest.raises(DataError, match=rf"{late}\.csv.*old.*go on with `calyx resume") as caught:
        simulated(rows, out)
    stopped = [row for row in read_lines(out / "events.jsonl") if row["event"] == "stopped"]
    assert [row["client"] for row in stopped] == [late]
    assert str(caught.value).startswith(stopped[0]["message"])
    path.write_text(sound)
    simulated(rows, out, resume=True, round=3)
    models = [(folder / "model.safetensors").read_bytes() for folder in (out, tmp_path / "whole")]
    assert models[0] == models[1]


def test_baselines_are_of_everybody_whose_rows_can_be_used(rows, tmp_path):
    (rows / "site-3.csv").write_text("id,age,pressure,smoker,sick,cost\n")  # and no rows
    made = simulated(rows, tmp_path / "run", "baselines=true", "rounds=1", "task.w_max=128")
    assert "site-3" not in {site.name for site in made.sites}
    found = RunFolder(tmp_path / "run").read_summary().baselines
    assert sorted(found.local) == [f"site-{i}" for i in range(7) if i != 3]


def test_a_remark_is_made_once_as_soon_as_it_is_known(rows):
    made = planned(rows, "task.w_max=64")
    remarks, said = Remarks(made.run, made.task), []
    for name, train in (("a", 60), ("b", 70), ("c", 80)):
        remarks.take(name, Note("data", {"rows": {"train": train, "validation": 20}}))
        said.append(remarks.draw())
    (sentence,) = said[1]
    assert (said[0], said[2]) == ([], [])
    assert sentence.startswith(
        "1 of 2 clients read so far has more training rows than task.w_max=64 "
    )


def test_what_was_read_so_far_is_said_as_such(rows):
    write_folder(rows, target=CLASSES | {"missing": "drop"})
    for path in sorted(Path(rows).glob("*.csv")):
        path.write_text(path.read_text() + "7,50,120.0,no,NA,1.0\n")
    (sentence,) = planned(rows).warnings
    assert "at 2 of 2 clients read so far, of which" in sentence


@pytest.mark.parametrize("place", ["load", "prepare"])
def test_a_client_that_memory_does_not_hold_is_one_sentence(rows, monkeypatch, place):
    def allocate(*_):
        np.empty((2**50, 3))

    target = (Csv, "load") if place == "load" else (data, "to_part")
    monkeypatch.setattr(*target, allocate)
    size = {"load": "24.0 PiB", "prepare": r"\d+ rows of 3 columns, 0 MiB"}[place]
    with pytest.raises(DataError, match=rf"^site-\d's rows do not fit into memory \(.*{size}"):
        planned(rows)
