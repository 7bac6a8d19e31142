"""Several runs on one page: what belongs together, which is best, and what cannot be told."""

import re
from pathlib import Path

import pytest
import yaml
from markupsafe import Markup

from calyx.errors import UserError
from calyx.files import append_lines, write_json
from cli import reporting
from cli.report.comparison import verdict_of, write_comparison
from cli.report.folder import read_run
from cli.report.groups import grouped, reached, spread_of, target_of


def make(folder, accuracy, *, strategy="fedavg", seed=1, rounds=4, finished=True, **config):
    """A run folder that learns up to `accuracy`."""
    folder.mkdir(parents=True)
    values = {
        "task": {"name": "digits", "data_dir": f"/somewhere/{folder.name}"},
        "strategy": {
            "name": strategy,
            "server": {},
            "local": {"mu": 0.1} if strategy == "fedprox" else {},
        },
        "training": {"lr": 0.1},
        "rounds": rounds,
        "seed": seed,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values | config))
    rows = [
        {
            "round": n,
            "train_loss": 1 / n,
            "val_loss": 1.2 / n,
            "val_accuracy": accuracy * n / rounds,
            "cohort": ["a", "b"],
            "replies": 2,
            "dropped": [],
            "bytes_up": 100,
            "bytes_down": 200,
            "seconds": 0.5,
        }
        for n in range(1, rounds + 1)
    ]
    append_lines(folder / "rounds.jsonl", rows)
    if finished:
        summary = {
            "task": "digits",
            "strategy": strategy,
            "seed": seed,
            "rounds": rounds,
            "stopped_because": "all rounds are done",
            "best_val_loss": 1.2 / rounds,
            "test_loss": 0.5,
            "test_accuracy": accuracy,
            "metric": "accuracy",
            "seconds": 2.0,
        }
        write_json(folder / "summary.json", summary)
    return folder


def groups_of(*folders):
    return grouped([read_run(folder) for folder in folders])


def seeds(tmp_path, strategy, *values):
    return [
        make(tmp_path / f"{strategy}-{i}", v, strategy=strategy, seed=i)
        for i, v in enumerate(values)
    ]


def test_runs_that_differ_in_the_seed_only_are_one_line_and_the_best_is_first(tmp_path):
    worse = seeds(tmp_path, "fedavg", 0.8, 0.82)
    better = seeds(tmp_path, "fedprox", 0.9, 0.91, 0.92)
    groups = groups_of(*worse, *better)
    assert [(g.label, len(g.runs)) for g in groups] == [
        ("strategy=fedprox", 3),
        ("strategy=fedavg", 2),
    ]


def test_what_differs_is_named_and_nothing_else(tmp_path):
    one = make(tmp_path / "a", 0.8, training={"lr": 0.1})
    other = make(tmp_path / "b", 0.9, training={"lr": 0.5}, seed=7)
    assert [g.label for g in groups_of(one, other)] == ["training.lr=0.5", "training.lr=0.1"]
    same = make(tmp_path / "c", 0.7, training={"lr": 0.5}, seed=8)
    assert {g.label: len(g.runs) for g in groups_of(one, other, same)} == {
        "training.lr=0.5": 2,
        "training.lr=0.1": 1,
    }


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        ((0.9, 0.91, 0.92), (0.8, 0.81, 0.82), "strategy=fedavg"),
        ((0.9, 0.91, 0.92), (0.89, 0.92, 0.90), "Too close to call"),
        ((0.9, 0.91), (0.1, 0.2), "It cannot be told"),
        ((0.9,), (0.1,), "It cannot be told"),
    ],
)
def test_a_difference_is_called_one_only_beyond_what_seeds_do(tmp_path, first, second, answer):
    groups = groups_of(*seeds(tmp_path, "fedavg", *first), *seeds(tmp_path, "fedopt", *second))
    verdict = verdict_of(groups, "accuracy")
    assert verdict.answer == answer
    assert "points less" in verdict.reason


def test_one_setting_alone_is_no_comparison(tmp_path):
    assert verdict_of(groups_of(*seeds(tmp_path, "fedavg", 0.8, 0.9)), "accuracy").tone == "open"


def test_rounds_and_bytes_to_the_target(tmp_path):
    runs = [read_run(make(tmp_path / "a", 0.8)), read_run(make(tmp_path / "b", 0.4))]
    target = target_of(runs)
    assert target == pytest.approx(0.76)
    assert reached(runs[0], target) == (4.0, 1200.0)
    assert reached(runs[1], target) is None
    assert spread_of([None, 2.0, 4.0]).mean == 3.0
    assert spread_of([None]) is None


def test_the_page_is_one_offline_file_with_everything_in_it(tmp_path):
    folders = [
        *seeds(tmp_path, "fedavg", 0.8, 0.82, 0.84),
        *seeds(tmp_path, "fedopt", 0.9, 0.91, 0.92),
    ]
    (folders[0] / "report.html").write_text("x")
    page = write_comparison(folders, tmp_path / "comparison.html").read_text()
    assert not re.search(r"(src|href)=\"(?!fedavg-0/report.html)", page)
    assert "<script" not in page
    for words in ("6 runs", "strategy=fedavg", "strategy=fedopt", "91.0", "± 1.0", "1.2"):
        assert words in page
    assert "± 0 B" not in page  # what seeds do not change has no deviation
    assert page.count("<svg") == 4
    assert 'href="fedavg-0/report.html"' in page
    assert "band g0" in page


def test_unfinished_and_damaged_runs_are_said_and_stop_nothing(tmp_path):
    sound = [
        make(tmp_path / "a", 0.8),
        make(tmp_path / "b", 0.9, strategy="fedopt", finished=False),
    ]
    broken = make(tmp_path / "c", 0.7)
    (broken / "summary.json").write_text("{")
    page = write_comparison([*sound, broken, tmp_path / "none"], tmp_path / "out.html").read_text()
    assert "2 folders could not be read" in page
    assert "1, 1 unfinished" in page
    with pytest.raises(UserError, match="fewer than two runs to compare"):
        write_comparison([sound[0], broken], tmp_path / "out.html")


def test_text_of_a_folder_is_escaped(tmp_path):
    bad = "<img src=x>"
    folders = [make(tmp_path / "a", 0.8), make(tmp_path / "b", 0.9, training={"lr": bad})]
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert bad not in page
    assert str(Markup.escape(bad)) in page


def test_a_hundred_runs_of_many_settings_are_drawn_and_eight_have_a_colour(tmp_path):
    folders = [
        make(tmp_path / str(i), 0.5 + i / 300, training={"lr": i // 2}, seed=i % 2)
        for i in range(100)
    ]
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert "The other 42 settings are grey." in page
    assert len(page) < 1_500_000


def test_the_command_compares_several_and_reports_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a", 0.8)
    make(tmp_path / "b", 0.9, strategy="fedopt")
    assert reporting.main(["a", "b"]) == 0
    assert capsys.readouterr().out == "comparison.html\n"
    assert reporting.main(["a", "b", "--out", "x.html"]) == 0
    assert Path("x.html").read_text() == Path("comparison.html").read_text()
    assert reporting.main(["a"]) == 0
    assert Path("a/report.html").is_file()
    with pytest.raises(UserError, match="--out is for comparisons"):
        reporting.main(["a", "--out", "x.html"])
