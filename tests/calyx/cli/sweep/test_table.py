"""sweep.csv, from outcomes, and outcomes, from their folders; the leaderboard: test_leaderboard.py."""

import csv
import json
from pathlib import Path

import pytest
from support.run_folders import HEAD, summary_of

from calyx.cli.sweep.outcomes import Outcome, find_outcomes, read_outcome, write_outcome
from calyx.cli.sweep.table import write_table


def finished(job, words, loss, **figures):
    known = {"best_val_loss": loss, "best_val_accuracy": 1 - loss, "test_accuracy": 0.5}
    return Outcome(
        job,
        Path(f"s/{job}"),
        tuple(words.split()),
        "finished",
        summary=summary_of(**known | figures),
    )


JOBS = [
    finished(0, "task=x strategy=a seed=1", 0.1, rounds=3),
    finished(1, "task=x strategy=a seed=2", 0.3, rounds=3),
    finished(2, "task=x strategy=b seed=1", 0.15, rounds=2),
    finished(3, "task=x strategy=b seed=2", 0.2, rounds=3),
]


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_the_table_has_a_row_a_job_and_only_overrides_that_differ(tmp_path):
    jobs = [*JOBS, Outcome(4, tmp_path / "4", ("task=x", "strategy=b", "seed=3"), "failed", "a, b")]
    rows = rows_of(write_table(tmp_path, jobs))
    assert [row["job"] for row in rows] == list("01234")
    assert [row["strategy"] for row in rows] == list("aabbb")
    assert "task" not in rows[0]
    assert (rows[4]["status"], rows[4]["error"], rows[4]["folder"]) == ("failed", "a, b", "4")
    assert (rows[4]["best_val_loss"], rows[0]["best_val_loss"]) == ("", "0.1")


def test_a_swept_key_of_a_figures_name_is_told_apart(tmp_path):
    jobs = [finished(i, f"rounds={i + 5}", 0.1, rounds=i + 1) for i in range(2)]
    rows = rows_of(write_table(tmp_path, jobs))
    assert [(row["config.rounds"], row["rounds"]) for row in rows] == [("5", "1"), ("6", "2")]


def test_a_task_without_accuracy_has_its_own_figures_in_the_table(tmp_path):
    figures = {"best_val_loss": 1.0, "best_val_r2": 0.5, "test_r2": 0.4}
    jobs = [Outcome(0, tmp_path / "0", (), "finished", summary=summary_of(metric="r2", **figures))]
    (row,) = rows_of(write_table(tmp_path, jobs))
    assert (row["best_val_r2"], row["test_r2"]) == ("0.5", "0.4")
    assert "test_accuracy" not in row


def test_what_became_of_a_job_is_read_from_its_folder(tmp_path):
    folder = tmp_path / "3"
    assert read_outcome(folder, 3, ["seed=1"]).status == "not run"
    folder.mkdir()
    written = Outcome(3, folder, ("seed=1",), "failed", "why")
    write_outcome(written)
    assert read_outcome(folder, 3) == written
    assert find_outcomes(tmp_path) == [written]
    (folder / "summary.json").write_text(json.dumps(HEAD | {"rounds": 2}))
    (folder / "report.html").touch()  # finished since, by `calyx resume`
    again = read_outcome(folder, 3)
    assert (again.status, again.error, again.summary) == ("finished", "", summary_of(rounds=2))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "odd"}', "\x00"])
def test_a_damaged_file_of_a_job_is_no_crash(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    assert read_outcome(tmp_path, 0).status == "not run"
    assert find_outcomes(tmp_path) == []


def test_what_somebody_else_wrote_of_a_job_is_text_and_numbers(tmp_path):
    folder = tmp_path / "0"
    folder.mkdir()
    odd = "\x1b[2J\u202e\ud800"
    (folder / "job.json").write_text(
        json.dumps({"job": 0, "overrides": [f"a={odd}"], "error": odd})
    )
    failed = read_outcome(folder, 0)
    assert (failed.overrides, failed.error) == (("a=?[2J??",), "?[2J??")
    (folder / "report.html").touch()
    summary = folder / "summary.json"
    summary.write_text(json.dumps(HEAD | {"objective": odd[:2], "model_sha256": odd[:5]}))
    [job] = find_outcomes(tmp_path)
    assert "?[2J?" in write_table(tmp_path, [job]).read_text()
    for figures in ({"test_loss": odd}, {"seconds": 10**400}, {"best_val_loss": 10**400}):
        summary.write_text(json.dumps(HEAD | figures))
        assert "is missing or damaged" in find_outcomes(tmp_path)[0].error
    (folder / "job.json").write_text('{"job": 0, "overrides": 5}')
    assert read_outcome(folder, 0).overrides == ()
