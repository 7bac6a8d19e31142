"""What a real sweep is compared by: units, own models, copies; the rules: test_leaderboard.py."""

import csv
import json

import pytest
from support.csv_files import COLUMNS, NUMBER, write_folder, write_schema

from calyx.words.digits import number_texts

pytestmark = pytest.mark.e2e
RANGED = COLUMNS | {"pressure": COLUMNS["pressure"] | {"low": 50, "high": 200}}
SHORT = ["task=csv", "task.data_dir=rows", "privacy=none", "engine.workers=0", "rounds=2"]


def rows_of(folder):
    return list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))


def lines_of(said, word):
    return [line for line in said.splitlines() if word in line and not line.startswith("job ")]


@pytest.mark.parametrize("preprocessing", ["local", "federated"])
def test_schemas_of_other_scales_are_ranked_by_the_error_in_the_targets_unit(
    sweep, here, preprocessing
):
    """The loss is squared error in units of the scale: rmse² / scale², by hand."""
    write_folder(here / "rows", clients=3, rows=40)
    scales = {"small": 25.0, "large": 400.0}
    for name, scale in scales.items():
        write_schema(here / "rows", target=NUMBER | {"scale": scale}, columns=RANGED)
        (here / "rows" / "schema.yaml").rename(here / f"{name}.yaml")
    words = [*SHORT, f"preprocessing={preprocessing}", "task.schema=small.yaml,large.yaml"]
    code, said, error = sweep(*words, "hydra.sweep.dir=s")
    assert (code, error) == (0, "")
    rows = {row["task.schema"].removesuffix(".yaml"): row for row in rows_of(here / "s")}
    for name, row in rows.items():
        wanted = float(row["best_val_rmse"]) ** 2 / scales[name] ** 2
        assert float(row["best_val_loss"]) == pytest.approx(wanted, rel=1e-6)
    assert "leaderboard by the best round's val_rmse" in said
    best = min(rows, key=lambda name: float(rows[name]["best_val_rmse"]))
    texts = number_texts([float(row["best_val_rmse"]) for row in rows.values()])
    first = lines_of(said, f"{best}.yaml")[0].split()
    assert first[0] == "1"
    assert set(texts) & set(first)
    assert "group 2" not in said  # the same rows, whatever the scale


def test_ditto_is_compared_by_own_models_and_a_seed_run_twice_is_one(sweep, here):
    write_folder(here / "rows", clients=3, rows=40)
    words = ["strategy=ditto", "strategy.local.lam=0.001,10", "seed=1,1", "hydra.sweep.dir=s"]
    code, said, error = sweep(*SHORT, *words)
    assert (code, error) == (0, "")
    assert "leaderboard by the best round's val_personal_accuracy" in said
    assert said.count("2 jobs have seed 1 and the same model: copies, which count once") == 2
    assert "±" not in said.partition("over seeds")[2]
    summaries = [json.loads((here / "s" / str(i) / "summary.json").read_text()) for i in range(4)]
    assert len({one["model_sha256"] for one in summaries}) == 1  # algorithm 1: λ does not change it
    page = (here / "s" / "report.html").read_text()
    assert "Own models" in page
    assert "It cannot be told" in page or "A tie" in page
