"""The leaderboard of a sweep: what leads, what has no place, and what a narrow terminal shows."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from support.run_folders import summary_of

from calyx.cli.sweep import leaderboard
from calyx.cli.sweep.leaderboard import print_leaderboard, rank_settings
from calyx.cli.sweep.outcomes import Outcome, objective_of, settings_of
from calyx.cli.sweep.search import best_lines

ROWS = {
    "over": "rows",
    "clients": 20,
    "asked": 20,
    "who": "digest",
    "rows": 600,
    "labels": [200, 400],
    "target_mean": None,
    "target_sd": None,
}


def finished(job, words, value, objective="val_loss", **figures):
    """A job of its own model, whose best round's `objective` is `value`."""
    known = {
        "task": "x",
        "metric": "accuracy",
        "objective": objective,
        f"best_{objective}": value,
        "test_accuracy": 0.5,
        "seed": int(settings_of(words.split()).get("seed", 1)),
        "model_sha256": f"model {job}",
        "validated_on": ROWS,
    }
    folder = Path(f"s/{job}")
    return Outcome(
        job, folder, tuple(words.split()), "finished", summary=summary_of(**known | figures)
    )


def failed(job, words, error="why"):
    return Outcome(job, Path(f"s/{job}"), tuple(words.split()), "failed", error)


def regression(job, words, loss, rmse, **figures):
    return finished(job, words, loss, metric="r2", best_val_rmse=rmse, **figures)


JOBS = [
    finished(0, "strategy=a seed=1", 0.1),
    finished(1, "strategy=a seed=2", 0.3),
    finished(2, "strategy=b seed=1", 0.15),
    finished(3, "strategy=b seed=2", 0.2),
]


def places(outcomes, objective="val_loss"):
    """Of each group, label → place."""
    return [
        {line.standing.label: line.place for line in group.lines}
        for group in rank_settings(outcomes, objective)
    ]


def said(outcomes, capsys, objective="val_loss"):
    print_leaderboard(outcomes, objective)
    return capsys.readouterr().out


def test_seeds_are_one_line_and_the_best_mean_comes_first():
    (group,) = rank_settings(JOBS, "val_loss")
    assert [line.standing.label for line in group.lines] == ["strategy=b", "strategy=a"]
    assert group.lines[0].values == (0.15, 0.2)


def test_of_an_accuracy_the_largest_comes_first():
    jobs = [
        finished(i, f"strategy={s}", value, "val_accuracy")
        for i, (s, value) in enumerate([("a", 0.7), ("b", 0.9)])
    ]
    assert places(jobs) == [{"strategy=b": 1, "strategy=a": 2}]


def test_a_setting_without_a_finished_job_comes_last():
    assert places([failed(0, "strategy=a"), finished(1, "strategy=b", 9.0)]) == [
        {"strategy=b": 1, "strategy=a": None}
    ]


def test_a_seed_run_three_times_is_one_seed(capsys):
    jobs = [
        finished(i, f"seed=1 training.lr={lr}", loss, model_sha256=f"m{lr}")
        for i, (lr, loss) in enumerate([(0.1, 0.5), (0.2, 0.4)] * 3)
    ]
    text = said(jobs, capsys)
    assert "1 (3 jobs)" in text
    assert "±" not in text.partition("over seeds")[2]
    assert (
        "training.lr=0.1: 3 jobs have seed 1 and the same model: copies, which count once" in text
    )


def test_seeds_one_two_two_have_the_spread_of_two(capsys):
    jobs = [
        finished(i, f"seed={s}", v, model_sha256=str(s))
        for i, (s, v) in enumerate([(1, 0.1), (2, 0.3), (2, 0.3)])
    ]
    assert "0.2000 ± 0.1414" in said(jobs, capsys)  # of 0.1 and 0.3, by hand


def test_a_setting_of_which_a_seed_failed_has_no_place_however_good_its_others_are(capsys):
    jobs = [
        *(
            finished(i, f"task.arch=mlp seed={s}", v)
            for i, (s, v) in enumerate([(2, 0.59), (1, 0.63), (3, 0.60)])
        ),
        finished(3, "task.arch=fragile seed=2", 0.59),
        failed(4, "task.arch=fragile seed=1", "no"),
        finished(5, "task.arch=fragile seed=3", 0.60),
    ]
    assert places(jobs) == [{"task.arch=mlp": 1, "task.arch=fragile": None}]
    text = said(jobs, capsys)
    assert "2 of 3" in text
    assert "no place for task.arch=fragile, which has 2 of 3 seeds" in text
    (line,) = [line for line in text.splitlines() if line.startswith("job 4")]
    assert line == "job 4  task.arch=fragile seed=1  failed: no"


def test_a_job_whose_figure_is_not_a_number_is_no_survivor(capsys):
    jobs = [
        finished(0, "training.lr=0.1 seed=1", 0.5),
        finished(1, "training.lr=0.1 seed=2", 0.6),
        finished(2, "training.lr=9 seed=1", 0.4),
        finished(
            3,
            "training.lr=9 seed=2",
            None,
            absent={"best_val_loss": "3 rows have no finite output"},
        ),
    ]
    assert places(jobs) == [{"training.lr=0.1": 1, "training.lr=9": None}]
    assert "job 3 cannot be ranked: 3 rows have no finite output" in said(jobs, capsys)


def test_regressions_are_compared_in_the_targets_own_unit(capsys):
    jobs = [
        regression(0, "task.schema=s100.yaml", 0.2139, 46.2, test_r2=0.761),
        regression(1, "task.schema=s400.yaml", 0.0143, 47.9, test_r2=-0.0861),
    ]
    assert places(jobs) == [{"task.schema=s100.yaml": 1, "task.schema=s400.yaml": 2}]
    assert objective_of(jobs[1].summary, "val_loss") == 47.9
    text = said(jobs, capsys)
    assert "best_val_rmse" in text
    assert "-0.0861" in text
    assert "0.0143" not in text


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({"validated_on": ROWS | {"clients": 5, "asked": 5, "rows": 150}}, "of other rows"),
        ({"validated_on": ROWS | {"labels": [201, 399]}}, "of other rows"),
        ({"validated_on": ROWS | {"who": "others"}}, "of other rows"),
        ({"validated_on": None}, "or of unknown ones"),
        ({"validated_on": ROWS | {"over": "clients"}}, "some over clients"),
        ({"objective": "val_accuracy", "best_val_accuracy": 0.4}, "the same figure"),
        ({"task": "y"}, "several tasks"),
        ({"classes": ["yes", "no"]}, "other classes"),
    ],
)
def test_figures_of_other_rows_or_kinds_are_groups_of_their_own(capsys, figures, why):
    jobs = [finished(0, "x=1", 0.5), finished(1, "x=2", 0.4, **figures)]
    assert places(jobs) == [{"x=1": 1}, {"x=2": 1}]
    text = said(jobs, capsys)
    assert "2 groups are not ranked against each other" in text
    assert why in text
    assert "group 2 of 2" in text


def test_jobs_without_a_figure_are_no_group_that_is_ranked(capsys):
    others = ROWS | {"rows": 150}
    jobs = [
        finished(0, "x=1", 0.5),
        finished(1, "x=2", 0.4, validated_on=others),
        finished(2, "x=3", None, absent={"best_val_loss": "no client has validation rows"}),
    ]
    text = said(jobs, capsys)
    assert "2 groups are not ranked against each other" in text
    assert "job 2 cannot be ranked: no client has validation rows" in text


@pytest.mark.parametrize("rows", [{"rows": "many"}, "all", ROWS | {"clients": [1]}])
def test_a_damaged_population_is_one_that_is_not_known(rows):
    jobs = [finished(i, f"x={i}", 0.5, validated_on=rows) for i in (1, 2)]
    assert len(places(jobs)) == 1


def test_targets_that_differ_in_their_unit_are_other_rows_and_rounding_is_none():
    def on(mean):
        return ROWS | {"labels": None, "target_mean": mean, "target_sd": 30.0}

    def two(mean):
        return [
            regression(0, "x=1", 1.0, 5.0, validated_on=on(180.0)),
            regression(1, "x=2", 1.0, 6.0, validated_on=on(mean)),
        ]

    assert len(places(two(180.0 * (1 + 1e-15)))) == 1
    assert len(places(two(180.001))) == 2


def test_a_personal_figure_is_what_jobs_of_ditto_are_compared_by(capsys):
    jobs = [
        finished(
            i,
            f"strategy.local.lam={lam}",
            loss,
            "val_personal_loss",
            best_val_loss=0.6148,
            model_sha256="one",
            personal_accuracy=score,
        )
        for i, (lam, loss, score) in enumerate(
            [(0.001, 0.66, 0.641), (0.1, 0.64, 0.648), (10, 0.58, 0.695)]
        )
    ]
    assert places(jobs)[0]["strategy.local.lam=10"] == 1
    text = said(jobs, capsys)
    assert "best_val_personal_loss" in text
    assert "0.6950" in text
    assert "no effect" not in text


def test_common_and_own_classifiers_of_the_same_rows_are_compared_by_accuracy(capsys):
    jobs = [
        finished(0, "strategy=fedavg", 0.5, best_val_accuracy=0.7),
        finished(1, "strategy=ditto", 0.8, "val_personal_accuracy"),
    ]
    assert places(jobs) == [{"strategy=ditto": 1, "strategy=fedavg": 2}]
    text = said(jobs, capsys)
    assert "best_val_accuracy" in text
    assert "strategy=ditto: by best_val_personal_accuracy, of clients' own models" in text


def test_equal_values_share_the_lead_and_nobody_is_marked(capsys):
    jobs = [
        finished(i, f"stopping.patience={p}", 0.6148, model_sha256="one")
        for i, p in enumerate((1, 2, 3))
    ]
    assert set(places(jobs)[0].values()) == {1}
    (group,) = rank_settings(jobs, "val_loss")
    assert set(leaderboard.board_of(group, jobs, is_alone=True).styles) == {None}
    text = said(jobs, capsys)
    assert text.count("1=") == 3
    assert "all 3 settings tie: stopping.patience does not change what is compared" in text
    assert "stopping.patience has no effect: the models are the same whatever the value" in text


def test_a_value_that_fails_is_not_without_effect(capsys):
    jobs = [finished(i, f"arch=a seed={i}", 0.5, model_sha256=f"m{i}") for i in (1, 2)]
    jobs += [finished(3, "arch=b seed=1", 0.5, model_sha256="m1"), failed(4, "arch=b seed=2")]
    assert "no effect" not in said(jobs, capsys)


def test_two_of_three_share_the_lead_and_the_third_is_third():
    jobs = [finished(i, f"x={i}", v) for i, v in enumerate((0.4, 0.5, 0.4))]
    assert places(jobs) == [{"x=0": 1, "x=2": 1, "x=1": 3}]


def test_seeds_that_give_one_model_are_said(capsys):
    jobs = [finished(i, f"seed={i}", 0.5, model_sha256="one") for i in range(3)]
    assert "all 3 seeds gave the same model: the seed has no effect" in said(jobs, capsys)


def test_figures_have_the_digits_that_tell_them_apart(capsys):
    text = said([finished(0, "x=1", 0.61481), finished(1, "x=2", 0.61484)], capsys)
    assert "0.61481" in text
    assert "0.61484" in text


@pytest.mark.parametrize("width", [160, 80, 60, 40, 20])
def test_names_are_whole_at_every_width_and_dropped_figures_are_said(monkeypatch, width):
    jobs = [
        finished(
            i, f"task.preprocessing.columns={c} training.lr={lr}", 0.5 + i, rounds=3, seconds=1.0
        )
        for i, (c, lr) in enumerate(
            [("every_column_of_it", 0.30000001), ("every_column_of_us", 0.3)]
        )
    ]
    page = io.StringIO()
    console = Console(file=page, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(leaderboard, "Console", lambda: console)
    print_leaderboard(jobs, "val_loss")
    text = page.getvalue()
    for word in ("every_column_of_it", "every_column_of_us", "0.30000001", "training.lr", "0.5000"):
        assert word in text
    assert "…" not in text
    assert "seconds" in text  # as a column, in a list, or as what there is no room for
    assert text.count("no room for") == text.count("see sweep.csv") == (width == 80)


def test_the_best_trial_is_a_command():
    jobs = [finished(0, "training.lr=0.1", 0.5), finished(1, "training.lr=0.2", 0.4)]
    assert best_lines(jobs, "val_loss") == [
        "best trial: job 1, best_val_loss 0.4000; run it again with",
        "  calyx simulate training.lr=0.2",
    ]


def test_trials_that_tie_share_the_lead():
    jobs = [finished(i, f"lam={i}", 0.6148) for i in range(4)]
    head, _ = best_lines(jobs, "val_loss")
    assert head.startswith(
        "4 settings share the lead by best_val_loss, 0.6148: job 0; job 1; job 2; job 3"
    )


def test_no_trial_is_best_of_figures_of_other_rows():
    jobs = [
        finished(0, "task.num_clients=5", 0.5),
        finished(1, "task.num_clients=20", 0.4, validated_on=ROWS | {"clients": 5}),
    ]
    (line,) = best_lines(jobs, "val_loss")
    assert line.startswith("no trial is called best: 2 groups are not ranked")


def test_a_trial_with_an_easy_seed_does_not_beat_one_with_all():
    jobs = [*JOBS, failed(4, "strategy=c seed=1"), finished(5, "strategy=c seed=2", 0.01)]
    assert best_lines(jobs, "val_loss")[0].startswith("best trial: jobs 2, 3, ")
    lone = [finished(0, "lr=1 seed=1", 0.5), finished(1, "lr=2 seed=2", 0.4)]
    assert best_lines(lone, "val_loss")[0].startswith(
        "no trial is called best: the settings were not"
    )
