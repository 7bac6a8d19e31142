"""Several runs on one page: what belongs together, which is best, and what cannot be told."""

import re
from pathlib import Path

import pytest
import yaml
from markupsafe import Markup

from calyx.errors import UserError
from calyx.files import append_lines, read_lines, write_json
from cli import reporting
from cli.ranking.standings import rank
from cli.report.best import verdict_of
from cli.report.comparison import write_comparison
from cli.report.folder import read_run
from cli.report.groups import entries_of, reached, target_of


def make(
    folder, accuracy, *, strategy="fedavg", seed=1, rounds=4, finished=True, figures=(), **config
):
    """A run folder that learns up to `accuracy`; `figures` are put into its summary.json."""
    folder.mkdir(parents=True)
    values = {
        "task": {"name": "digits", "data_dir": "/somewhere"},
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
        summary |= {"model_sha256": f"{folder.name}", "best_val_loss": 1.2 / rounds}
        write_json(folder / "summary.json", summary | dict(figures))
    return folder


def groups_of(*folders):
    return rank(entries_of([read_run(folder) for folder in folders]))


def lines_of(*folders):
    """Label → number of runs, the best first, of the only group."""
    (group,) = groups_of(*folders)
    return {e.standing.label: len(e.standing.entries) for e in group.lines}


def seeds(tmp_path, strategy, *values):
    return [
        make(tmp_path / f"{strategy}-{i}", v, strategy=strategy, seed=i)
        for i, v in enumerate(values)
    ]


def test_runs_that_differ_in_the_seed_only_are_one_line_and_the_best_is_first(tmp_path):
    worse = seeds(tmp_path, "fedavg", 0.8, 0.82)
    better = seeds(tmp_path, "fedprox", 0.9, 0.91, 0.92)
    found = lines_of(*worse, *better)
    assert list(found.items()) == [("strategy=fedprox", 3), ("strategy=fedavg", 2)]


def test_what_differs_is_named_and_nothing_else(tmp_path):
    one = make(tmp_path / "a", 0.8, training={"lr": 0.1})
    other = make(tmp_path / "b", 0.9, training={"lr": 0.5}, seed=7)
    assert lines_of(one, other) == {"training.lr=0.5": 1, "training.lr=0.1": 1}
    same = make(tmp_path / "c", 0.7, training={"lr": 0.5}, seed=8)
    assert lines_of(one, other, same) == {"training.lr=0.5": 2, "training.lr=0.1": 1}


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
    assert target_of([]) is None


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


def verdict(*folders, metric="accuracy"):
    return verdict_of(groups_of(*folders), metric)


def lr(tmp_path, rate, accuracies, **more):
    """One run a seed, seed → accuracy; each of its own model."""
    return [
        make(tmp_path / f"{rate}-{seed}", value, seed=seed, training={"lr": rate}, **more)
        for seed, value in accuracies.items()
    ]


def test_copies_of_a_run_are_one_seed(tmp_path):
    folders = []
    for rate, value in ((0.005, 0.736), (0.02, 0.778)):
        same = {"figures": {"model_sha256": f"model {rate}"}, "training": {"lr": rate}}
        folders += [make(tmp_path / f"{rate}-{i}", value, **same) for i in range(3)]
    found = verdict(*folders)
    assert found.answer == "It cannot be told"
    assert "That is from one seed each: run more, say seed=1,2,3,4,5." in found.reason
    assert "4.2 points less" in found.reason
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert "3 runs have seed 1 and the same model: copies, which count once" in page
    assert "77.8 % ±" not in page


def test_seeds_that_all_gave_one_model_are_no_repetitions(tmp_path):
    one = {"figures": {"model_sha256": "one"}}
    found = verdict(
        *lr(tmp_path, 0.1, {1: 0.7, 2: 0.7, 3: 0.7}, **one),
        *lr(tmp_path, 0.2, {1: 0.8, 2: 0.82, 3: 0.81}),
    )
    assert found.answer == "It cannot be told"
    assert "All 3 seeds gave the same model" in found.reason


def test_figures_that_do_not_vary_over_seeds_are_no_certainty(tmp_path):
    found = verdict(
        *lr(tmp_path, 0.1, {1: 0.7, 2: 0.7, 3: 0.7}), *lr(tmp_path, 0.2, {1: 0.8, 2: 0.8, 3: 0.8})
    )
    assert (found.answer, found.tone) == ("It cannot be told", "open")
    assert "No figure varies over 3 seeds" in found.reason


def test_a_setting_with_an_unfinished_run_is_behind_and_decides_nothing(tmp_path):
    whole = lr(tmp_path, 0.1, {1: 0.7, 2: 0.8, 3: 0.9})
    left = lr(tmp_path, 0.2, {2: 0.95, 3: 0.96})
    open_run = make(tmp_path / "open", 0.1, seed=1, training={"lr": 0.2}, finished=False)
    (group,) = groups_of(*whole, *left, open_run)
    places = [(e.standing.label, e.place) for e in group.lines]
    assert places == [("training.lr=0.1", 1), ("training.lr=0.2", None)]
    found = verdict(*whole, *left, open_run)
    assert found.answer == "It cannot be told"
    assert "No place for training.lr=0.2, which has 2 of 3 seeds" in found.reason
    page = write_comparison([*whole, *left, open_run], tmp_path / "out.html").read_text()
    assert "2 of 3, 1 unfinished" in page


def test_settings_that_share_some_seeds_are_compared_over_those(tmp_path):
    """Over seeds 1 to 3 the first is 0.1 behind at each, by hand; its fourth seed was an easy one."""
    one = lr(tmp_path, 0.1, {1: 0.70, 2: 0.71, 3: 0.73, 4: 1.0})
    other = lr(tmp_path, 0.2, {1: 0.80, 2: 0.81, 3: 0.83})
    found = verdict(*one, *other)
    assert found.answer == "training.lr=0.2"
    assert "10.0 points less" in found.reason


def test_settings_without_a_common_seed_have_no_place_and_are_compared_by_their_spread(tmp_path):
    one, other = {1: 0.9, 2: 0.91, 3: 0.92}, {4: 0.8, 5: 0.81, 6: 0.82}
    folders = [*lr(tmp_path, 0.1, one), *lr(tmp_path, 0.2, other)]
    (group,) = groups_of(*folders)
    assert [line.place for line in group.lines] == [None, None]
    assert verdict(*folders).answer == "training.lr=0.1"


def test_equal_means_are_a_tie(tmp_path):
    found = verdict(*lr(tmp_path, 0.1, {1: 0.7}), *lr(tmp_path, 0.2, {1: 0.7}))
    assert found.answer == "A tie"
    assert (
        "“training.lr=0.1”, “training.lr=0.2” have the same test accuracy, 70.0 %." in found.reason
    )


def test_runs_tested_on_other_rows_are_not_ranked_against_each_other(tmp_path):
    def tested(rows):
        whose = {"over": "rows", "clients": 5, "asked": 5, "who": "digest", "rows": rows}
        return {"figures": {"tested_on": whose | {"labels": [rows, 0]}}}

    folders = [
        *lr(tmp_path, 0.1, {1: 0.7}, **tested(72)),
        *lr(tmp_path, 0.2, {1: 0.9}, **tested(7)),
    ]
    assert len(groups_of(*folders)) == 2
    assert verdict(*folders).answer == "They do not compare"
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert "2 groups are not ranked against each other: their figures are of other rows" in page
    assert "Group 2: test_accuracy, task digits: 7 rows of 5 clients" in page
    assert page.count("<svg") == 8  # a group's curves are drawn by themselves


def regression(folder, r2, rmse, rows=("val_r2", "val_rmse"), **config):
    made = make(folder, 0.5, finished=False, **config)
    lines = [
        {k: v for k, v in row.items() if k != "val_accuracy"} | {rows[0]: r2, rows[1]: rmse}
        for row in read_lines(made / "rounds.jsonl")
    ]
    (made / "rounds.jsonl").unlink()
    append_lines(made / "rounds.jsonl", lines)
    summary = {"task": "csv", "strategy": "fedavg", "seed": 1, "stopped_because": "done"}
    figures = {"metric": "r2", "test_r2": r2, "test_rmse": rmse, "best_val_rmse": rmse}
    write_json(made / "summary.json", summary | figures | {"best_val_loss": 0.0143})
    return made


def test_regressions_are_shown_in_the_targets_unit_and_a_negative_r2_as_it_is(tmp_path):
    folders = [
        regression(tmp_path / "a", 0.761, 46.21, training={"lr": 0.1}),
        regression(tmp_path / "b", -0.0861, 96.5, training={"lr": 0.2}),
    ]
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    for words in ("Test R²", "-0.0861", "0.7610", "Test RMSE", "46.21", "Validation RMSE by round"):
        assert words in page
    assert "Validation loss" not in page
    assert "0.0143" not in page
    assert "0.8471 less" in verdict(*folders, metric="R²").reason  # 0.761 + 0.0861


def test_no_target_is_made_of_scores_below_0(tmp_path):
    folder = regression(tmp_path / "a", -0.2, 9.0)
    assert target_of([read_run(folder)]) in (None, 0.0)


def test_what_ditto_tunes_is_what_it_is_compared_by(tmp_path):
    folders = [
        make(
            tmp_path / str(lam),
            0.6,
            strategy="ditto",
            figures={
                "objective": "val_personal_accuracy",
                "personal_accuracy": score,
                "model_sha256": "one",
            },
            penalty=lam,
        )
        for lam, score in ((0.001, 0.641), (0.1, 0.648), (10, 0.695))
    ]
    (group,) = groups_of(*folders)
    assert [e.standing.label for e in group.lines] == [
        "penalty=10",
        "penalty=0.1",
        "penalty=0.001",
    ]
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert "Own models' test accuracy" in page.replace("&#39;", "'")
    assert "no effect" not in page


def test_common_and_own_models_of_the_same_rows_are_ranked_and_it_is_said(tmp_path):
    own = {"objective": "val_personal_accuracy", "personal_accuracy": 0.9}
    folders = [
        make(tmp_path / "a", 0.8),
        make(tmp_path / "b", 0.6, strategy="ditto", figures=own),
    ]
    (group,) = groups_of(*folders)
    assert [e.standing.label for e in group.lines] == ["strategy=ditto", "strategy=fedavg"]
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert "strategy=ditto: by personal_accuracy, of clients" in page


def test_a_seed_that_left_no_run_is_missing_all_the_same(tmp_path):
    folders = [*lr(tmp_path, 0.1, {1: 0.7, 2: 0.8}), *lr(tmp_path, 0.2, {2: 0.95})]
    target = tmp_path / "out.html"
    page = write_comparison(folders, target, {folders[-1]: ("1",)}).read_text()
    assert "No place for training.lr=0.2, which has 1 of 2 seeds" in page
    assert "no place: 1 of its 2 seeds have a figure" in page


def test_what_was_varied_within_a_strategy_is_named_too(tmp_path):
    def prox(name, mu):
        folder = make(tmp_path / name, 0.8, strategy="fedprox")
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["strategy"]["local"] = {"mu": mu}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return folder

    found = lines_of(make(tmp_path / "a", 0.9), prox("b", 0.1), prox("c", 1.0))
    assert set(found) == {
        "strategy=fedavg",
        "strategy=fedprox strategy.local.mu=0.1",
        "strategy=fedprox strategy.local.mu=1.0",
    }


def test_a_folder_of_data_is_named_and_an_engine_only_where_it_was_varied(tmp_path):
    def run(name, **config):
        return make(tmp_path / name, 0.8, **config)

    data = [run(n, task={"name": "csv", "data_dir": f"/rows/{n}"}) for n in "ab"]
    assert set(lines_of(*data)) == {"task.data_dir=/rows/a", "task.data_dir=/rows/b"}
    engines = [run(n, engine={"name": n}) for n in ("ray", "embedded")]
    assert set(lines_of(*engines)) == {"engine=ray", "engine=embedded"}
    others = [run(f"s{i}", seed=i, engine={"name": str(i)}) for i in (1, 2)]
    assert lines_of(*others) == {"all runs": 2}


def test_long_names_that_differ_in_the_middle_are_whole(tmp_path):
    names = [f"{'a' * 80}{letter}{'b' * 80}" for letter in "xy"]
    folders = [make(tmp_path / n[80], 0.8, task={"name": "csv", "columns": n}) for n in names]
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert all(name in page for name in names)


def test_scores_have_the_digits_that_tell_them_apart(tmp_path):
    folders = [*lr(tmp_path, 0.1, {1: 0.61481}), *lr(tmp_path, 0.2, {1: 0.61484})]
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert "61.481 %" in page
    assert "61.484 %" in page
