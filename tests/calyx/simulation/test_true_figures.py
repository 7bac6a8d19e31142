"""Whole runs whose figures were once cut, rounded or lost: each against scikit-learn or NumPy.

Figures come from summary.json, and the right ones from the released model's own predictions.
"""

import json
import statistics

import numpy as np
import pytest
import torch
import yaml
from sklearn import metrics

from calyx.cli.results import print_results
from calyx.composing.compose import compose, resolve
from calyx.data.schema import Table
from calyx.files.plain import read_lines
from calyx.model.weights import initial_model, load_into, load_weights
from calyx.pages.page import write_report
from calyx.run.folder import RunFolder
from calyx.simulation.planning import plan
from calyx.simulation.run import simulate
from client.rows.data import prepare_rows
from client.rows.splitting import split

ALWAYS = ["task=csv", "privacy=none", "baselines=false", "engine.workers=0"]
ALWAYS += ["audit.fail_on=never", "preprocessing=local"]
NUMBERS = {name: {"kind": "numeric", "low": -9, "high": 9} for name in "ab"}
COST = {"name": "cost", "center": 100, "scale": 50}
SICK = {"name": "sick", "classes": ["no", "yes"]}


def rows_of(seed, count):
    """Two columns [count, 2], and a target with a mean of 100 and an sd of 30 that follows them."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, 2)).round(3)
    return x, (100 + x @ [25, -15] + draw.normal(0, 8, count)).round(3)


def write_sites(folder, sites, target):
    """One CSV file a site, and the schema; the folder."""
    folder.mkdir()
    for i, (x, y) in enumerate(sites):
        lines = [f"a,b,{target['name']}"]
        lines += [f"{row[0]},{row[1]},{value}" for row, value in zip(x, y, strict=True)]
        (folder / f"site-{i}.csv").write_text("\n".join(lines) + "\n")
    (folder / "schema.yaml").write_text(yaml.safe_dump({"target": target, "columns": NUMBERS}))
    return folder


def ended(folder, data, *overrides):
    """A run over these sites, to its end: the summary, and the plan."""
    planned = plan(resolve(compose([*ALWAYS, f"task.data_dir={data}", *overrides])))
    simulate(planned, folder, resume=False, progress=lambda *_: None)
    return json.loads((folder / "summary.json").read_text()), planned


def predictions(folder, planned):
    """The pooled test rows' targets, and the released model's predictions of them, float64."""
    true, predicted = [], []
    for site in planned.sites:
        one = prepare_rows(planned.terms, planned.preprocessing, site.name, site.data_dir)
        model = initial_model(one.task, one.num_inputs, 1)
        load_into(model, load_weights(folder / "model.safetensors"))
        with torch.no_grad():
            output = model.eval()(torch.from_numpy(one.parts["test"].x)).double().numpy()[:, 0]
        target = one.task.schema.target
        true.append(one.raw["test"].y)
        predicted.append(output * target.scale + target.center)
    return np.concatenate(true), np.concatenate(predicted)


def assert_true(summary, true, predicted):
    """The test's figures are scikit-learn's."""
    error = metrics.mean_squared_error(true, predicted)
    assert summary["test_r2"] == pytest.approx(metrics.r2_score(true, predicted), rel=1e-6)
    assert summary["test_rmse"] == pytest.approx(error**0.5, rel=1e-6)
    assert summary["test_mae"] == pytest.approx(
        metrics.mean_absolute_error(true, predicted), rel=1e-6
    )
    assert summary["tested_on"]["target_mean"] == pytest.approx(true.mean())
    assert summary["tested_on"]["target_sd"] == pytest.approx(true.std())


def row_of_the_test(x, site):
    """The index of a row that is tested."""
    index = np.arange(len(x), dtype=np.float64)
    return int(split(Table(x, index), 1, site)["test"].y[0])


@pytest.mark.parametrize("value", [3000.0, 980000.0, 1e30])
def test_one_large_target_is_not_cut_out_of_r2_and_rmse(tmp_path, value):
    sites = [rows_of(i, 40) for i in range(2)]
    sites[1][1][row_of_the_test(sites[1][0], "site-1")] = value
    data = write_sites(tmp_path / "rows", sites, COST)
    summary, planned = ended(tmp_path / "run", data, "rounds=2")
    true, predicted = predictions(tmp_path / "run", planned)
    assert true.max() == value
    assert_true(summary, true, predicted)
    assert summary["test_r2"] < 0.2


def test_a_target_with_a_scale_that_is_too_large_keeps_its_digits(tmp_path):
    sites = [(x, (0.5 + (y - 100) / 1000).round(6)) for x, y in (rows_of(i, 40) for i in range(3))]
    data = write_sites(tmp_path / "rows", sites, COST | {"center": 0.5, "scale": 200})
    summary, planned = ended(tmp_path / "run", data, "rounds=3", "task.hidden=0")
    assert_true(summary, *predictions(tmp_path / "run", planned))
    rows = read_lines(tmp_path / "run" / "rounds.jsonl")
    assert all(row["val_rmse"] >= row["val_mae"] > 0 for row in rows)


@pytest.fixture(scope="module")
def left_out(tmp_path_factory):
    """A run that leaves each of five sites out: one measures from another zero, one a constant."""
    folder, sites = tmp_path_factory.mktemp("left") / "run", [rows_of(i, 30) for i in range(5)]
    sites[3] = (sites[3][0], sites[3][1] - 90)
    sites[4] = (sites[4][0], np.full(30, 100.0))
    data = write_sites(folder.parent / "rows", sites, COST)
    return ended(folder, data, "rounds=2", "cv.k=clients", "training.epochs=3")[0], folder


def test_the_mean_over_sites_left_out_is_that_of_the_scores_that_are_listed(left_out):
    cv = left_out[0]["cv"]
    assert cv["folds"][4] is None
    known = cv["folds"][:4]
    assert known[3] < -1
    assert cv["mean"] == pytest.approx(statistics.fmean(known))
    assert cv["sd"] == pytest.approx(statistics.stdev(known))


def test_a_site_whose_targets_are_equal_is_counted_apart_and_it_is_said_why(left_out):
    summary, _ = left_out
    cv = summary["cv"]
    assert (cv["scored"], cv["unscored"]) == (4, 1)
    assert "all targets are equal" in cv["absent"]["folds.4"]
    assert (summary["test_clients_scored"], summary["test_clients_unscored"]) == (4, 1)


def test_the_mean_over_clients_is_that_of_the_scores_of_single_clients(left_out):
    summary, folder = left_out
    rows = [r for r in read_lines(folder / "clients.jsonl") if r["kind"] == "test"]
    scores = [r["test_r2"] for r in rows if r["test_r2"] is not None]
    assert summary["test_client_mean"] == pytest.approx(np.mean(scores))
    assert summary["test_client_sd"] == pytest.approx(np.std(scores))
    (constant,) = [r for r in rows if r["test_r2"] is None]
    assert "all targets are equal" in constant["absent"]["test_r2"]


def test_the_report_shows_scores_below_zero_and_what_cannot_be_told(left_out):
    summary, folder = left_out
    write_report(folder)
    page = (folder / "report.html").read_text()
    assert f"{summary['cv']['folds'][3]:.3f}" in page
    assert "— all targets are equal" in page
    assert "over 4 of 5" in page


SICKNESS = [(x, np.where(y > 100, "yes", "no")) for x, y in (rows_of(i, 30) for i in range(2))]
TINY = [(x[:2], y[:2]) for x, y in SICKNESS * 3]


@pytest.mark.parametrize(
    "strategy",
    [
        ["strategy=ditto"],
        ["strategy=flower", "strategy.server._target_=flwr.serverapp.strategy.FedAdam"],
    ],
)
def test_a_cohort_without_validation_rows_does_not_end_the_run(tmp_path, strategy):
    data = write_sites(tmp_path / "rows", TINY + SICKNESS, SICK)
    words = ["rounds=6", "cohort_size=2", "evaluate=with_training", *strategy]
    summary, _ = ended(tmp_path / "run", data, *words)
    rows = read_lines(tmp_path / "run" / "rounds.jsonl")
    assert summary["rounds"] == len(rows) == 6
    without = [row for row in rows if row["validated_on"]["clients"] == 0]
    assert 0 < len(without) < 6
    assert all(row["val_loss"] is None for row in without)
    assert without[0]["absent"]["val_accuracy"] == "no client of this round has validation rows"
    assert summary["best_val_loss"] is None  # those of other clients do not rank
    assert "do not rank" in summary["absent"]["best_val_loss"]
    confusion = np.array(summary["test_confusion"])
    assert confusion.sum(axis=1).tolist() == summary["tested_on"]["labels"]
    assert summary["test_accuracy"] == np.trace(confusion) / confusion.sum()


def test_by_default_all_that_have_validation_rows_validate_each_round(tmp_path):
    data = write_sites(tmp_path / "rows", TINY + SICKNESS, SICK)
    summary, _ = ended(tmp_path / "run", data, "rounds=3", "cohort_size=2")
    rows = read_lines(tmp_path / "run" / "rounds.jsonl")
    assert {row["validated_on"]["clients"] for row in rows} == {len(SICKNESS)}
    assert summary["best_val_loss"] == min(row["val_loss"] for row in rows)


def test_a_run_in_which_nobody_can_validate_or_test_ends_and_says_so(tmp_path, capsys):
    data = write_sites(tmp_path / "rows", TINY, SICK)
    summary, _ = ended(tmp_path / "run", data, "rounds=2")
    nobody = "no client of this round has {} rows"
    assert summary["best_val_loss"] is None
    assert summary["absent"]["best_val_loss"] == nobody.format("validation")
    assert summary["absent"]["test_accuracy"] == nobody.format("test")
    assert summary["absent"]["test_client_mean"] == "no client has rows"
    write_report(tmp_path / "run")
    print_results(RunFolder(tmp_path / "run").read_summary(), tmp_path / "run", None)
    assert nobody.format("test") in (tmp_path / "run" / "report.html").read_text()
    assert "—" in capsys.readouterr().out


def test_a_fold_that_has_no_row_anywhere_is_in_no_mean(tmp_path):
    data = write_sites(tmp_path / "rows", [(x[:3], y[:3]) for x, y in SICKNESS * 2], SICK)
    cv = ended(tmp_path / "run", data, "rounds=1", "cv.k=5")[0]["cv"]
    known = [score for score in cv["folds"] if score is not None]
    assert (len(known), cv["scored"], cv["unscored"]) == (3, 3, 2)
    assert cv["mean"] == pytest.approx(statistics.fmean(known))
    assert cv["absent"]["folds.4"] == "no client of this round has rows in this fold"


def test_with_equal_weights_figures_are_means_over_clients_and_no_row_is_counted(tmp_path):
    data = write_sites(tmp_path / "rows", [*SICKNESS, rows_of_few()], SICK)
    summary, _ = ended(tmp_path / "run", data, "rounds=1", "privacy.weighting=equal")
    rows = [r for r in read_lines(tmp_path / "run" / "clients.jsonl") if r["kind"] == "test"]
    for name, tolerance in (("accuracy", 1e-9), ("loss", 1e-12)):  # as docs/reports.md says
        mean = np.mean([row[f"test_{name}"] for row in rows])
        assert summary[f"test_{name}"] == pytest.approx(mean, rel=tolerance)
    assert (summary["tested_on"]["over"], summary["tested_on"]["rows"]) == ("clients", None)
    assert summary["test_confusion"] is None
    assert "weighting=equal" in summary["absent"]["test_confusion"]


def rows_of_few():
    """Ten rows beside the others' thirty."""
    x, y = rows_of(7, 10)
    return x, np.where(y > 100, "yes", "no")
