"""`tensorboard=true` and `mlflow=true`: every round once, also after a resume."""

import json
import math
import re

import pytest
from support.run_folders import round_of, summary_of

from calyx.cli.main import run
from calyx.cli.tracking import final_scalars, parameters, scalars, to_mlflow
from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError
from calyx.files.plain import read_lines
from calyx.run.folder import RunFolder
from calyx.simulation import planning
from calyx.words.extras import advise_extra

SMALL = ["baselines=false", "engine.workers=0", "privacy=none", "task.num_clients=3"]


def simulated(folder, *overrides):
    assert run(["simulate", *SMALL, "rounds=2", f"hydra.run.dir={folder}", *overrides]) == 0
    return folder


def test_figures_of_common_and_own_models_are_written_and_absent_ones_are_not():
    """MLflow takes letters, digits and _ - . / and spaces in a name, and no NaN of ours."""
    summary = {
        "metric": "r2",
        "test_r2": -0.5,
        "test_rmse": 46.2,
        "personal_accuracy": 0.75,
        "personal_r2": None,
        "best_val_personal_loss": 0.5,
        "test_confusion": [[1, 2], [3, 4]],
        "test_of_µ": 1,
        "tested_on": {"rows": 5},
        "absent": {"personal_r2": "all targets are equal"},
    }
    assert dict(final_scalars(summary_of(**summary))) == {
        "test_r2": -0.5,
        "test_rmse": 46.2,
        "personal_accuracy": 0.75,
        "best_val_personal_loss": 0.5,
        "test_of__": 1.0,
    }
    row = {"val_loss": None, "val_personal_loss": 0.5, "validated_on": {"rows": 5}}
    costs = ("capped_clients", "replies", "bytes_up", "bytes_down", "seconds", "best_round")
    assert [name for name, _ in scalars(round_of(3, **row)) if name not in costs] == [
        "train_loss",
        "val_personal_loss",
    ]


@pytest.mark.e2e
def test_tensorboard_has_every_figure_of_every_round_once(tmp_path, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = simulated(tmp_path / "run", "tensorboard=true")
    (folder / "tensorboard" / "notes.txt").write_text("of the user")
    assert run(["resume", str(folder), "rounds=3"]) == 0
    assert (folder / "tensorboard" / "notes.txt").read_text() == "of the user"
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    rows = read_lines(folder / "rounds.jsonl")
    for name in ("train_loss", "val_loss", "val_accuracy", "bytes_up", "seconds"):
        found = [(e.step, e.value) for e in events.Scalars(name)]
        assert found == [(row["round"], pytest.approx(row[name], rel=1e-6)) for row in rows]


@pytest.mark.e2e
def test_mlflow_has_one_run_also_after_a_resume(tmp_path, monkeypatch, capfd):
    mlflow = pytest.importorskip("mlflow")
    place = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    monkeypatch.chdir(tmp_path)
    folder = simulated(tmp_path / "run", "mlflow=true")
    assert run(["resume", str(folder), "rounds=3"]) == 0
    assert capfd.readouterr().err == ""
    events = read_lines(folder / "events.jsonl")
    assert not [e for e in events if e["event"] == "tracking-failed"]
    client = mlflow.MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'calyx digits'")
    (found,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(found.info.run_id, "val_loss")
    rows = read_lines(folder / "rounds.jsonl")
    assert [(m.step, m.value) for m in history] == [(r["round"], r["val_loss"]) for r in rows]
    assert found.data.params["training.lr"] == "0.5"
    assert found.data.tags["strategy"] == "fedavg"
    summary = json.loads((folder / "summary.json").read_text())
    assert found.data.metrics["test_accuracy"] == summary["test_accuracy"]
    # MLflow cannot change a parameter: what a resume may change is no parameter, which would be stale.
    assert (found.data.tags["rounds"], found.data.params.get("rounds")) == ("3", None)
    for key in ("test_accuracy", "test_client_mean"):  # now absent, where it was known before
        summary[key] = None
    (folder / "summary.json").write_text(json.dumps(summary))
    to_mlflow(RunFolder(folder))
    metrics = client.get_run(found.info.run_id).data.metrics
    assert math.isnan(metrics["test_accuracy"])
    assert metrics["test_loss"] == summary["test_loss"]


def test_columns_of_any_name_are_parameters_that_mlflow_takes():
    validation = pytest.importorskip("mlflow.utils.validation")
    names = ["weight (kg)", "weight [kg]", "a/../b", "größe", "x" * 300, "x" * 301, "", "."]
    columns = {name: {"kind": f"kind {i}"} for i, name in enumerate(names)}
    found = parameters({"task": {"schema": {"columns": columns}}, "seed": 1})
    for name, value in found.items():
        validation._validate_param(name, value)
    assert sorted(found.values()) == sorted([*(f"kind {i}" for i in range(len(names))), "1"])
    assert found["seed"] == "1"


@pytest.mark.e2e
def test_a_tracking_server_that_cannot_be_reached_costs_a_warning(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    pytest.importorskip("mlflow")
    folder = simulated(tmp_path / "run", "mlflow=true")
    assert (folder / "summary.json").exists()
    warnings = [
        e["message"] for e in read_lines(folder / "events.jsonl") if e["severity"] == "warning"
    ]
    assert any(message.startswith("mlflow: ") for message in warnings)


@pytest.mark.parametrize("key", ["tensorboard", "mlflow"])
def test_a_tracker_that_is_not_installed_is_one_sentence(monkeypatch, key):
    monkeypatch.setattr(planning, "find_spec", lambda _: None)
    with pytest.raises(
        ConfigError, match=f"{key}=true needs the extra {key}: {re.escape(advise_extra(key))}"
    ):
        planning.check_config(resolve(compose([f"{key}=true"])))
