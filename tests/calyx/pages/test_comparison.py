"""Several runs on one page: what belongs together, which is best, and what cannot be told."""

import json
import re
from pathlib import Path

import pytest
import yaml
from markupsafe import Markup
from support.run_folders import groups_of, lines_of, lr, make, regression, seeds

from calyx.cli import reporting
from calyx.errors import UserError
from calyx.files.plain import write_json
from calyx.pages.best import verdict_of
from calyx.pages.comparison import write_comparison
from calyx.pages.folder import read_run
from calyx.pages.groups import find_reached, target_of


def verdict(*folders, metric="accuracy"):
    return verdict_of(groups_of(*folders), metric)


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


def test_rounds_and_bytes_to_the_target(tmp_path):
    runs = [read_run(make(tmp_path / "a", 0.8)), read_run(make(tmp_path / "b", 0.4))]
    target = target_of(runs)
    assert target == pytest.approx(0.76)
    assert find_reached(runs[0], target) == (4.0, 1200.0)
    assert find_reached(runs[1], target) is None
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


def seeded(folder, seed, r2, **config):
    """A regression's run of a seed, with a model of its own."""
    made = regression(folder, r2, 1.0, seed=seed, **config)
    figures = json.loads((made / "summary.json").read_text())
    write_json(made / "summary.json", figures | {"seed": seed, "model_sha256": folder.name})
    return made


def test_a_band_ends_where_no_figure_can_be_and_that_is_said(tmp_path):
    # Mean 0.967 and standard deviation 0.058 of the last round: 1.024 is no R².
    wide = [seeded(tmp_path / f"a{i}", i, r2) for i, r2 in enumerate((0.9, 1.0, 1.0))]
    calm = [seeded(tmp_path / f"b{i}", i, 0.5, training={"lr": 0.5}) for i in range(3)]
    page = write_comparison([*wide, *calm], tmp_path / "out.html").read_text()
    drawn = page[page.index('id="Validation-R²-round') :].split("</svg>")[0]
    assert max(map(float, re.findall(r'class="tick end">([^<]*)<', drawn))) == 1.0
    assert "with one standard deviation, as far as a figure can be." in page


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

    folders = [make(tmp_path / "a", 0.9), prox("b", 0.1), prox("c", 1.0)]
    found = lines_of(*folders)
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert "strategy=fedprox strategy.local.mu=0.1" in page  # a key that fedavg's config lacks
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
    schemas = [
        run(
            f"{n}-whole",
            task={"name": "csv", "data_dir": f"/rows/{n}", "clients": [n], "schema": {n: 1}},
        )
        for n in "ab"
    ]
    assert set(lines_of(*schemas)) == {"task.data_dir=/rows/a", "task.data_dir=/rows/b"}
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


def test_each_score_has_its_name_where_classes_and_numbers_are_on_one_page(tmp_path):
    folders = [
        make(tmp_path / "classes", 0.8),
        regression(tmp_path / "numbers", 0.9, 5.0, task={"name": "csv"}),
    ]
    page = write_comparison(folders, tmp_path / "out.html").read_text()
    assert "a validation accuracy of 76.0" in page  # 95 % of 0.8
    assert "a validation R² of 0.8550" in page  # 95 % of 0.9
    assert "Test accuracy or R²</th>" in page
