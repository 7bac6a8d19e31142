"""Why a model is behind: named where a run's files show it, with the key to change, and only there."""

import json

import pytest
from support.run_folders import make, regression

from calyx.files.plain import append_lines, read_lines, write_json
from calyx.pages.causes import causes
from calyx.pages.conclusions import conclude, terminal_lines
from calyx.pages.folder import read_run
from calyx.pages.key_figures import key_figures
from calyx.pages.page import write_report

# Breast cancer, eight sites by Dirichlet, as facts of a real run: 114 test rows.
BREAST = {"local_mean": 0.756, "federated": 0.719, "pooled": 0.956}
LOCAL = {"preprocessing": {"name": "local", "scaling": "standard"}}
SHIFT = {
    "check": "label-shift",
    "severity": "warning",
    "column": None,
    "message": "The share of M differs between sites.",
    "advice": "See that all sites mean the same by the label.",
}


def run_of(folder, *, rounds=40, best=20, losses=None, figures=(), **config):
    """A finished run whose round `best` is the best; `losses` are (training, validation) a round."""
    known = {"best_round": best, "rounds": rounds, "num_clients": 2, "preprocessing": "local"}
    made = make(folder, 0.719, rounds=rounds, figures=known | dict(figures), **config)
    if losses:
        rows = read_lines(made / "rounds.jsonl")
        (made / "rounds.jsonl").unlink()
        pairs = zip(rows, losses, strict=True)
        append_lines(
            made / "rounds.jsonl",
            [row | {"train_loss": train, "val_loss": val} for row, (train, val) in pairs],
        )
    return made


def audited(folder, *findings):
    """`folder` with an audit of these findings."""
    audit = {"sites": 8, "rows": 500, "duplicates": 0, "labels": None, "label_spread": []}
    write_json(folder / "audit.json", audit | {"columns": {}, "findings": list(findings)})
    return folder


def said(folder, *, is_behind=True):
    return [one.seen for one in causes(read_run(folder), is_behind=is_behind)]


def rows_of_test(num):
    rows = {"train": 3 * num, "validation": num, "test": num}
    return {"kind": "data", "client": "a", "rows": rows, "label_counts": []}


def test_breast_cancer_is_not_too_close_to_call_and_says_what_to_change(tmp_path):
    folder = audited(run_of(tmp_path / "run", figures={"baselines": BREAST}, **LOCAL), SHIFT)
    append_lines(folder / "clients.jsonl", [rows_of_test(114)])
    found = conclude(read_run(folder))
    # 2 sqrt((.719 .281 + .756 .244) / 114) = .116, more than the .037 lost to a client alone;
    # 2 sqrt((.719 .281 + .956 .044) / 114) = .093, less than the .237 missing to pooled rows.
    assert found.verdict.answer == "Not yet"
    assert "One model of all data in one place is 23.7 points more accurate" in found.verdict.reason
    (remark,) = found.remarks
    assert "the audit found that sites differ (the shares of labels)" in remark.seen
    assert remark.cure == "Try preprocessing=federated."
    assert terminal_lines(found, folder) == [
        "worth   Not yet: 3.7 points below a client alone, 23.7 points below one model of all rows",
        "try     preprocessing=federated: each client scaled by its own mean, and the audit found "
        "that sites differ",
    ]
    page = write_report(folder).read_text()
    assert "Not yet" in page
    assert "Try preprocessing=federated." in page


def test_scaling_is_a_cause_only_where_each_client_did_it_by_itself(tmp_path):
    federated = {"preprocessing": {"name": "federated", "scaling": "standard"}}
    unscaled = {"preprocessing": {"name": "local", "scaling": "none"}}
    behind = "Nothing in this run's files says why the model is behind."
    used = {"preprocessing": "federated"}
    assert said(run_of(tmp_path / "a", figures=used, **federated)) == [behind]
    assert said(run_of(tmp_path / "b", **unscaled)) == [behind]
    assert said(run_of(tmp_path / "c", figures=used, **LOCAL)) == [behind]  # what was used counts
    assert said(run_of(tmp_path / "d", **LOCAL))[0].startswith("Each client scaled its inputs")
    assert said(run_of(tmp_path / "e", **LOCAL), is_behind=False) == []


def test_where_federated_constants_could_not_be_had_the_reason_stands_instead_of_the_key(tmp_path):
    why = "Nobody gave statistics of height: declare its low and high."
    auto = {"preprocessing": {"name": "auto", "scaling": "standard"}}
    used = {"preprocessing": "local", "preprocessing_why": why}
    folder = run_of(tmp_path / "a", figures=used, **auto)
    (cause,) = causes(read_run(folder), is_behind=True)
    assert cause.cure == why
    assert cause.brief == (f"each client's are scaled by its own rows alone. {why}")
    shown = {one.label: one for one in key_figures(read_run(folder))}
    assert (shown["Preprocessing"].value, shown["Preprocessing"].full) == ("local", why)
    assert shown["Training"].value == "lr 0.1"


def test_columns_that_lack_a_range_are_named_with_the_advice_to_use_federated_constants(tmp_path):
    columns = {
        "age": {"kind": "numeric", "low": 0, "high": 120},
        "height": {"kind": "numeric", "low": 0, "high": None},
        "sex": {"kind": "categorical"},
    }
    task = {"name": "csv", "schema": {"columns": columns}}
    (cause,) = causes(read_run(run_of(tmp_path / "a", task=task, **LOCAL)), is_behind=True)
    assert cause.cure == (
        "Try preprocessing=federated. The schema must declare low and high of height for it."
    )


@pytest.mark.parametrize(
    ("best", "patience", "words"),
    [
        (
            40,
            10,
            "The best round was the last of 40: val_loss went from 0.03333 in round 36 to 0.030",
        ),
        (37, 10, "Round 37 was the best of 40"),
        (37, 3, None),  # it stopped because no round was better: more would not help
        (35, None, None),  # in none of the last five
        (None, 10, None),  # rounds of other clients do not rank
    ],
)
def test_a_run_that_ended_while_it_was_still_becoming_better_is_said(
    tmp_path, best, patience, words
):
    stopping = {"monitor": "val_loss", "mode": "min", "patience": patience}
    found = said(run_of(tmp_path / "a", best=best, stopping=stopping), is_behind=False)
    assert len(found) == (0 if words is None else 1)
    assert words is None or found[0].startswith(words)


@pytest.mark.parametrize(("done", "more"), [(3, 6), (40, 80), (60, 100), (100, 200)])
def test_as_many_rounds_more_are_advised_as_a_sites_policy_begins_with(tmp_path, done, more):
    run = run_of(tmp_path / "with space", rounds=done, best=done)
    (line,) = terminal_lines(conclude(read_run(run)), run)
    assert line == (
        f"rounds  the best round was the last of {done}; more may help: calyx resume '{run}' "
        f"rounds={more}"
    )


def test_a_hidden_layer_that_learns_its_rows_by_heart_is_said(tmp_path):
    # Chile's vote: the best round is the sixth of forty; training goes on falling.
    losses = [(1 - 0.02 * n, 0.9 + 0.01 * abs(n - 6)) for n in range(1, 41)]
    task = {"name": "csv", "hidden": 32}
    folder = run_of(tmp_path / "a", best=6, losses=losses, task=task)
    (cause,) = causes(read_run(folder), is_behind=False)
    # Means of the last three rounds: (.24 + .22 + .20) / 3 and (1.22 + 1.23 + 1.24) / 3.
    assert cause.seen == (
        "After round 6 the training loss still fell, from 0.8800 to 0.2200, while the validation "
        "loss rose, from 0.9000 to 1.230: the model learns its rows by heart."
    )
    assert cause.cure == "Try task.hidden=0, a linear model."
    linear = {"name": "csv", "hidden": 0}
    training = {"training": {"epochs": 2}}
    other = run_of(tmp_path / "b", best=6, losses=losses, task=linear, **training)
    assert causes(read_run(other), is_behind=False)[0].cure == "Try training.epochs=1."
    off = {"training": {"epochs": 2, "early_stopping": {"patience": None}}}
    never = run_of(tmp_path / "c", best=6, losses=losses, task=linear, **off)
    assert causes(read_run(never), is_behind=False)[0].cure == (
        "Try training.epochs=1, or training.early_stopping.patience=2, which is off."
    )


@pytest.mark.parametrize(
    "losses",
    [
        [(1 - 0.02 * n, 0.9 + 0.0001 * abs(n - 6)) for n in range(1, 41)],  # 0.4 % is no rise
        [(0.9, 0.9 + 0.01 * abs(n - 6)) for n in range(1, 41)],  # no training that falls
        [
            (1 - 0.02 * n, 1.3 - 0.01 * n if n < 37 else 1.3) for n in range(1, 41)
        ],  # four rounds after the best one
    ],
)
def test_losses_that_do_not_part_are_no_learning_by_heart(tmp_path, losses):
    best = min(range(40), key=lambda i: losses[i][1]) + 1
    stopping = {"monitor": "val_loss", "mode": "min", "patience": 1}
    found = run_of(tmp_path / "a", best=best, losses=losses, stopping=stopping)
    assert said(found, is_behind=False) == []


def test_small_cohorts_missing_replies_and_cut_updates_are_causes(tmp_path):
    privacy = {"name": "secagg", "clip": 1.0}
    figures = {"num_clients": 20, "preprocessing": "none"}
    folder = run_of(tmp_path / "a", figures=figures, privacy=privacy, cohort_size=2)
    rows = [row | {"dropped": ["b"], "replies": 1} for row in read_lines(folder / "rounds.jsonl")]
    (folder / "rounds.jsonl").unlink()
    append_lines(folder / "rounds.jsonl", rows)
    cut = {"time": "t", "event": "clipped", "severity": "warning", "message": "m"}
    append_lines(folder / "events.jsonl", [cut | {"round": n} for n in range(1, 31)])
    few = cut | {"severity": "info"}  # a hundredth of all coordinates, or less
    append_lines(folder / "events.jsonl", [few | {"round": n} for n in range(31, 41)])
    assert said(folder) == [
        "In each round only 2 of 20 clients trained.",
        "40 of 80 replies of clients are missing from the rounds' sums.",
        "In 30 of 40 rounds coordinates of updates were cut to ±1.",
    ]
    assert said(folder, is_behind=False) == []
    lines = terminal_lines(conclude(read_run(folder)), folder)
    assert lines == []  # nothing was compared


def test_what_has_no_line_on_a_terminal_is_counted_there(tmp_path):
    losses = [(1 - 0.02 * n, 0.9 + 0.01 * abs(n - 6)) for n in range(1, 41)]
    figures = {"baselines": BREAST, "test_accuracy": 0.719}
    figures |= {"test_confusion": [[82, 0], [32, 0]], "classes": ["B", "M"]}
    folder = run_of(tmp_path / "a", best=6, losses=losses, figures=figures, **LOCAL)
    lines = terminal_lines(conclude(read_run(folder)), folder)
    assert [line[:8] for line in lines] == ["worth   ", "classes ", "try     "]
    assert lines[-1].endswith(" (1 more in the report)")


def test_a_regression_far_behind_pooled_rows_is_told_why(tmp_path):
    baselines = {"local_mean": 0.64, "federated": 0.656, "pooled": 0.893}
    folder = regression(tmp_path / "a", 0.656, 4.5, **LOCAL)
    summary = json.loads((folder / "summary.json").read_text())
    write_json(folder / "summary.json", summary | {"baselines": baselines})
    found = conclude(read_run(folder))
    assert found.verdict.answer == "Not yet"  # .016 above a client alone is less than .02
    assert "One model of all data in one place has 0.893, 0.237 more." in found.verdict.reason
    assert found.remarks[0].cure == "Try preprocessing=federated."
    assert terminal_lines(found, folder)[0] == (
        "worth   Not yet: R² 0.016 above a client alone, 0.237 below one model of all rows"
    )


def test_a_task_of_ones_own_may_call_anything_hidden_or_schema(tmp_path):
    task = {"name": "mine", "hidden": [64, 32], "schema": "file.yaml"}
    assert said(run_of(tmp_path / "a", task=task), is_behind=False) == []
