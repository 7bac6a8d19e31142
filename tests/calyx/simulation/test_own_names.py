"""Whole runs whose columns have the names that Calyx uses inside: the same model as with others."""

import json

import numpy as np
import yaml

from calyx.composing.compose import compose, resolve
from calyx.model.weights import load_weights
from calyx.pages.page import write_report
from calyx.simulation.planning import plan
from calyx.simulation.run import simulate

RUN = ("task=csv", "privacy=none", "preprocessing=federated", "preprocessing.outliers=flag")
QUICK = ("rounds=1", "baselines=false", "engine.workers=0")


def ended(folder, names, target):
    """A run over five sites of the same rows, whose columns are called so; names in their order."""
    data, draw = folder / "data", np.random.default_rng(0)
    data.mkdir(parents=True)
    for site in ("consortium", "train", "all", "d", "e"):
        x, z = draw.normal(50, 20, 60).round(2), draw.normal(0, 1, 60).round(2)
        word = draw.choice(["other", "missing"], 60)
        x[:3] = np.nan
        y = (
            (20 * z + np.nan_to_num(x)).round(2)
            if "center" in target
            else np.where(z > 0, "all", "predicted")
        )
        lines = [f'"{n}"' for n in (*names, target["name"])], *zip(x, z, word, y, strict=True)
        text = "\n".join(",".join(map(str, line)) for line in lines)
        (data / f"{site}.csv").write_text(text.replace("nan", "?") + "\n")
    hole = {"may_be_missing": True, "low": -50, "high": 150}
    columns = dict(
        zip(
            names,
            (
                {"kind": "numeric"} | hole,
                {"kind": "numeric", "low": -9, "high": 9},
                {"kind": "categorical", "categories": ["other", "missing"], "unknown": "other"},
            ),
            strict=True,
        )
    )
    schema = yaml.safe_dump({"target": target, "columns": columns}, sort_keys=False)
    (data / "schema.yaml").write_text(schema)
    planned = plan(resolve(compose([*RUN, *QUICK, f"task.data_dir={data}"])))
    simulate(planned, folder / "run", resume=False, progress=lambda *_: None)
    write_report(folder / "run")
    return folder / "run"


def same(first, second):
    weights = [load_weights(run / "model.safetensors") for run in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][k], weights[1][k], equal_nan=True) for k in weights[0])
    summaries = [json.loads((run / "summary.json").read_text()) for run in (first, second)]
    assert [s["test_loss"] for s in summaries[:1]] == [s["test_loss"] for s in summaries[1:]]


def test_a_regression_on_columns_called_target_image_and_label_is_that_of_any_names(tmp_path):
    cost = {"name": "cost", "center": 50, "scale": 30}
    own = ended(tmp_path / "own", ["target", "target is missing", "unknown"], cost)
    same(own, ended(tmp_path / "other", ["u", "v", "w"], cost | {"name": "t"}))
    audit = json.loads((own / "audit.json").read_text())
    assert audit["columns"]["target"]["declared"] == [-50, 150]
    assert audit["columns"]["cost"]["role"] == "target"


def test_a_classification_with_classes_called_all_and_predicted_is_that_of_any_names(tmp_path):
    target = {"name": "predicted", "classes": ["all", "predicted"]}
    own = ended(tmp_path / "own", ["a=b", "image", "preprocessing/constants"], target)
    same(own, ended(tmp_path / "other", ["u", "v", "w"], target | {"name": "t"}))
