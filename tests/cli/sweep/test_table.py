"""sweep.csv and the leaderboard, from outcomes."""

import csv
import json
from pathlib import Path
from statistics import stdev

import pytest

from calyx.config import Stopping
from cli.sweep.leaderboard import print_leaderboard, shortened, spread, standings
from cli.sweep.outcomes import Outcome, found_below, read_outcome, write_outcome
from cli.sweep.table import write_table

MIN = Stopping(monitor="val_loss", mode="min", patience=None)
MAX = Stopping(monitor="val_accuracy", mode="max", patience=None)


def finished(job, words, loss, **figures):
    known = {"best_val_loss": loss, "best_val_accuracy": 1 - loss, "test_accuracy": 0.5}
    return Outcome(job, Path(f"s/{job}"), tuple(words.split()), "finished", figures=known | figures)


FAILED = Outcome(4, Path("s/4"), ("task=x", "strategy=b", "seed=3"), "failed", 'no, "reply"')
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
    jobs = [Outcome(0, tmp_path / "0", (), "finished", figures=figures)]
    (row,) = rows_of(write_table(tmp_path, jobs))
    assert (row["best_val_r2"], row["test_r2"]) == ("0.5", "0.4")
    assert "test_accuracy" not in row


def test_seeds_are_one_line_and_the_best_mean_comes_first():
    ranked = standings([*JOBS, FAILED], MIN)
    assert [dict(one.settings)["strategy"] for one in ranked] == ["b", "a"]
    assert ranked[0].values == (0.15, 0.2)
    assert len(ranked[0].jobs) == 3


def test_with_mode_max_the_largest_comes_first():
    jobs = [
        finished(i, f"strategy={s}", loss) for i, (s, loss) in enumerate([("a", 0.3), ("b", 0.1)])
    ]
    assert [dict(one.settings)["strategy"] for one in standings(jobs, MAX)] == ["b", "a"]


def test_a_group_without_a_finished_job_comes_last():
    jobs = [
        Outcome(0, Path("s/0"), ("strategy=a",), "failed", "why"),
        finished(1, "strategy=b", 9.0),
    ]
    for stopping in (MIN, MAX):
        assert dict(standings(jobs, stopping)[-1].settings) == {"strategy": "a"}


def test_the_leaderboard_says_which_job_failed_and_why(capsys):
    print_leaderboard([*JOBS, FAILED], MIN)
    said = capsys.readouterr().out
    assert "0.1750 ± 0.0354" in said
    assert "0.2000 ± 0.1414" in said
    (line,) = [line for line in said.splitlines() if line.startswith("job 4")]
    assert line == 'job 4  strategy=b seed=3  failed: no, "reply"'


@pytest.mark.parametrize("values", [[0.1, 0.3], [1.0, 2.0, 4.0]])
def test_the_spread_is_the_sample_standard_deviation(values):
    assert spread(values).endswith(f"± {stdev(values):.4f}")


def test_one_value_has_no_spread_and_none_is_a_dash():
    assert (spread([0.25]), spread([])) == ("0.2500", "–")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("0.042622297695", "0.04262"), ("fedavg", "fedavg"), ("40", "40"), ("0.5", "0.5")],
)
def test_a_long_number_is_shortened_in_the_leaderboard_only(value, shown):
    assert shortened(value) == shown


def test_what_became_of_a_job_is_read_from_its_folder(tmp_path):
    folder = tmp_path / "3"
    assert read_outcome(folder, 3, ["seed=1"]).status == "not run"
    folder.mkdir()
    written = Outcome(3, folder, ("seed=1",), "failed", "why")
    write_outcome(written)
    assert read_outcome(folder, 3) == written
    assert found_below(tmp_path) == [written]
    (folder / "summary.json").write_text(json.dumps({"rounds": 2}))
    (folder / "report.html").touch()  # finished since, by `calyx resume`
    again = read_outcome(folder, 3)
    assert (again.status, again.error, again.figures) == ("finished", "", {"rounds": 2})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "odd"}', "\x00"])
def test_a_damaged_file_of_a_job_is_no_crash(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    assert read_outcome(tmp_path, 0).status == "not run"
    assert found_below(tmp_path) == []
