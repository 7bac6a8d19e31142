"""A model's file by itself: what it says, what of it is refused, and that it predicts."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from support.csv_files import write_folder
from torch import nn, rand

from calyx.config.section import canonical_json
from calyx.errors import UserError
from calyx.model import released
from calyx.model.released import describe, load, save
from calyx.model.weights import initial_model, save_weights, weights_of
from calyx.preprocessing.config import PreprocessingConfig
from calyx.tasks.csv import Csv

FEDERATED = PreprocessingConfig(
    name="federated",
    numeric_imputation="median",
    categorical_imputation="none",
    fill_value=0.0,
    scaling="standard",
    outliers="keep",
    iqr_factor=3.0,
    fitted=(((50.0, None, None, 40.0, 20.0), (None, None, None, 0.0, 1.0)),),
)
LOCAL = replace(FEDERATED, name="local", fitted=None)
COLUMNS = {
    "age": {"kind": "numeric", "low": 0, "high": 100},
    "smoker": {"kind": "categorical", "categories": ["no", "yes"]},
}
CLASSES = {"name": "sick", "classes": ["no", "yes"]}
NUMBER = {"name": "cost", "center": 100, "scale": 50}
SECTION = {"name": "csv", "clients": ["north", "south"], "hidden": 0, "w_max": 64}


def section(target=CLASSES, **changed):
    return SECTION | {"schema": {"target": target, "columns": COLUMNS}} | changed


def write(path, cfg=FEDERATED, own=None, **of):
    """Write the file of an untrained model of a csv task; its weights."""
    own = own or section(**of)
    task = Csv(own)
    weights = weights_of(initial_model(task, 3, seed=1))
    save(path, weights, describe(task, own | {"data_dir": "/here"}, cfg), cfg)
    return weights


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def said(path):
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["calyx"])


def rewrite(path, weights=(), description=()):
    """Put other tensors (None takes one out), or keys of its description, into a file."""
    tensors = load_file(path) | dict(weights)
    text = json.dumps(said(path) | dict(description))
    save_file({k: v for k, v in tensors.items() if v is not None}, path, {"calyx": text})


def test_a_classifier_predicts_from_its_file_alone(tmp_path):
    """Oracle: the softmax of the linear model, by hand; a missing age is 50."""
    weights = write(tmp_path / "model.safetensors")
    found = load(tmp_path / "model.safetensors").predict(np.array([[80.0, 1.0], [np.nan, 0.0]]))
    inputs = np.array([[(80 - 40) / 20, 0, 1], [(50 - 40) / 20, 1, 0]])
    powers = np.exp(inputs @ weights["weight"].T + weights["bias"])
    assert found == pytest.approx(powers / powers.sum(axis=1, keepdims=True), rel=1e-6)


def test_a_regression_predicts_in_the_targets_own_unit(tmp_path):
    weights = write(tmp_path / "model.safetensors", target=NUMBER)
    found = load(tmp_path / "model.safetensors").predict(np.array([[80.0, 1.0]]))
    value = np.array([2, 0, 1]) @ weights["weight"][0] + weights["bias"]
    assert found.tolist() == [pytest.approx(100 + 50 * value, rel=1e-6)]


def test_the_file_says_what_it_is_and_nothing_of_run_site_or_client(path):
    text = json.dumps(said(path))
    for word in ("north", "/here", "64", "seed", "engine", "privacy", "date"):
        assert word not in text
    assert said(path)["metric"] == "accuracy"
    assert said(path)["schema"]["columns"][0] == COLUMNS["age"] | {"name": "age"}
    with safe_open(path, "numpy") as file:
        text = file.metadata()["calyx"]
    assert text == canonical_json(json.loads(text))


def test_a_csv_model_is_described_alike_in_a_simulation_and_on_separate_machines(tmp_path):
    """The first lists the clients of its folder, and the others know the schema's file only."""
    rows = write_folder(tmp_path / "rows")
    asked = {"name": "csv", "clients": None, "hidden": 4, "w_max": None}
    simulated = Csv.completed({**asked, "data_dir": str(rows), "schema": None})
    deployed = Csv.completed({**asked, "data_dir": None, "schema": str(rows / "schema.yaml")})
    assert len(simulated["clients"]) == 7
    one, other = (
        describe(Csv({k: v for k, v in own.items() if k != "data_dir"}), own, LOCAL)
        for own in (simulated, deployed)
    )
    assert one == other


def test_tensors_are_the_same_bytes_with_and_without_a_description(path, tmp_path):
    save_weights(tmp_path / "bare", load_file(path))
    bodies = []
    for file in (path, tmp_path / "bare"):
        data = file.read_bytes()
        bodies.append(data[8 + int.from_bytes(data[:8], "little") :])
    assert bodies[0] == bodies[1]


def test_neither_server_client_flower_nor_hydra_is_loaded(path):
    code = f"""
import sys, numpy, pathlib
from calyx.model.released import load
assert load(pathlib.Path({str(path)!r})).predict(numpy.array([[1.0, 0.0]])).shape == (1, 2)
roots = {{name.partition(".")[0] for name in sys.modules}}
print(roots & {{"flwr", "hydra", "omegaconf", "server", "client", "strategies"}})
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout, ended.returncode) == ("set()\n", 0), ended.stderr


BAD_CONSTANTS = np.array([[50.0, np.nan, np.nan, 40.0, 1e9], [np.nan, np.nan, np.nan, 0.0, 1.0]])
NAN = np.full((2, 3), np.nan, np.float32)


@pytest.mark.parametrize(
    ("weights", "description", "words"),
    [
        ({"bias": None}, {}, "the tensor bias is missing"),
        ({"more": NAN}, {}, "the tensor more is missing, unknown"),
        ({"weight": NAN}, {}, "weight is missing, unknown, of another shape or not finite"),
        ({"weight": np.zeros((2, 3))}, {}, "the tensor weight"),
        ({"weight": np.zeros((3, 2), np.float32)}, {}, "the tensor weight"),
        ({"preprocessing/constants": None}, {}, "is damaged; restore it"),
        ({"preprocessing/constants": np.zeros((2, 4))}, {}, "is damaged"),
        ({"preprocessing/constants": np.full((2, 5), np.inf)}, {}, "is damaged"),
        ({"preprocessing/constants": BAD_CONSTANTS}, {}, "impossible values for age"),
        ({}, {"format": "calyx-model/2"}, "is damaged"),
        ({}, {"date": "today"}, "is damaged"),
        ({}, {"preprocessing": {"name": "federated"}}, "is damaged"),
        ({}, {"schema": {}}, "its schema differs"),
        ({}, {"metric": "r2"}, "its schema differs"),
        ({}, {"task": {"name": "nobody's"}}, "There is no task"),
        ({}, {"task": section(hidden=7)}, "the tensor 0.bias is missing"),
        ({}, {"task": section(color="red")}, "task.color does not exist"),
        ({}, {"task": {}}, "task.name is missing"),
    ],
)
def test_a_file_that_no_run_has_written_is_one_sentence(path, weights, description, words):
    rewrite(path, weights, description)
    with pytest.raises(UserError, match=words) as refused:
        load(path)
    assert str(refused.value).startswith(str(path))


@pytest.mark.parametrize("text", ["[]", "{", "NaN", '{"format":1,"format":2}', "[" * 100_000])
def test_a_description_that_is_none_is_damage(path, text):
    save_file(load_file(path), path, {"calyx": text})
    with pytest.raises(UserError, match="is damaged"):
        load(path)


def test_a_file_of_an_earlier_version_is_described_by_its_run(path):
    rows, own = np.array([[30.0, 1.0]]), section()
    wanted = load(path).predict(rows)
    save_weights(path, load_file(path))
    older = describe(Csv(own), own, FEDERATED)
    assert load(path, seed=1, older=older).predict(rows).tolist() == wanted.tolist()
    with pytest.raises(
        UserError, match="an earlier version of Calyx, or another program, wrote it"
    ):
        load(path)


def test_without_constants_a_model_goes_with_what_a_client_fitted(tmp_path):
    path, rows = tmp_path / "model.safetensors", np.array([[80.0, 1.0]])
    write(path, LOCAL)
    model = load(path)
    with pytest.raises(ValueError, match="each client fits its own"):
        model.predict(rows)
    write(path)
    fitted = load(path).fitted
    assert replace(model, fitted=fitted).predict(rows).tolist() == load(path).predict(rows).tolist()


def test_holes_that_a_client_fills_by_its_own_rows_are_not_called_unfilled(tmp_path):
    write(tmp_path / "model.safetensors", replace(LOCAL, scaling="none"))
    model = load(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"numeric_imputation=median .*: give client=NAME"):
        model.predict(np.array([[np.nan, 1.0]]))


def test_a_hole_is_filled_as_it_was_in_the_training(tmp_path):
    """Oracle: by hand. A missing category is none of the categories (decision 0042)."""
    cfg = replace(LOCAL, name="none", scaling="none", categorical_imputation="constant")
    weights = write(tmp_path / "model.safetensors", cfg, target=NUMBER)
    found = load(tmp_path / "model.safetensors").predict(np.array([[0.5, np.nan]]))
    value = np.array([0.5, 0, 0]) @ weights["weight"][0] + weights["bias"]
    assert found.tolist() == [pytest.approx(100 + 50 * value, rel=1e-6)]


class Drawing(Csv):
    """A task of somebody's own, whose network draws a projection that is no part of its state."""

    def model(self, num_inputs):
        network = nn.Linear(num_inputs, 2)
        network.register_buffer("projection", rand(3), persistent=False)
        return network


def test_a_network_that_draws_of_its_runs_seed_is_used_with_that_seed_only(path, monkeypatch):
    monkeypatch.setattr(released, "load_task", Drawing)
    with pytest.raises(UserError, match=r"draws projection .* of the seed of its run"):
        load(path)
    assert load(path, seed=3).predict(np.array([[1.0, 0.0]])).shape == (1, 2)


def test_an_infinite_bound_of_somebodys_schema_is_none():
    task = Csv(section())
    age = replace(task.schema.columns[0], low=-np.inf, high=np.float32(90))
    task.schema = replace(task.schema, columns=(age,))
    own = describe(task, section(), FEDERATED)
    assert own.schema["columns"] == [{"name": "age", "kind": "numeric", "low": None, "high": 90.0}]
    assert "Infinity" not in json.dumps(own.schema)


def test_constants_are_refused_that_are_of_other_columns(path):
    rewrite(path, {"preprocessing/constants": np.zeros((3, 5))})
    with pytest.raises(UserError, match="does not have the columns of the task's schema"):
        load(path)
