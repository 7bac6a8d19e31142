"""model.onnx answers as the model does, and is not written where it would not."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from torch import Tensor, nn

from calyx.errors import CalyxError, UserError
from calyx.model.released import ReleasedModel
from calyx.model.weights import initial_model, weights_of
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.constants import fit_by_config
from calyx.releases import onnx_file
from calyx.releases.onnx_file import OPSET, draw_rows, export
from calyx.tasks.csv import Csv

COLUMNS = {
    "age": {"kind": "numeric", "low": 0, "high": 100, "may_be_missing": True},
    "smoker": {"kind": "categorical", "categories": ["no", "yes"]},
}
CFG = PreprocessingConfig(
    name="federated",
    numeric_imputation="median",
    categorical_imputation="none",
    fill_value=0.0,
    scaling="standard",
    outliers="keep",
    iqr_factor=3.0,
    fitted=(((50.0, None, None, 40.0, 20.0), (None, None, None, 0.0, 1.0)),),
)


def model_of(target):
    section = {"name": "csv", "clients": ["north"], "hidden": 0, "w_max": 64}
    task = Csv(section | {"schema": {"target": target, "columns": COLUMNS}})
    weights = weights_of(initial_model(task, 4, seed=1))
    return ReleasedModel(task, CFG, weights, fit_by_config(task.schema, CFG))


@pytest.fixture(scope="module")
def model():
    return model_of({"name": "sick", "classes": ["no", "yes"]})


@pytest.fixture(scope="module")
def made(model):
    return export(model)


def test_a_classifier_answers_raw_rows_by_its_file_alone(model, made):
    """Oracle: the softmax of the linear model, by hand; a missing age is 50, and marked."""
    session = onnxruntime.InferenceSession(made.data, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"rows": np.array([[80.0, 1.0], [np.nan, 0.0]])})
    inputs = np.array([[(80 - 40) / 20, 0, 0, 1], [(50 - 40) / 20, 1, 1, 0]])
    powers = np.exp(inputs @ model.weights["weight"].T + model.weights["bias"])
    assert found == pytest.approx(powers / powers.sum(axis=1, keepdims=True), rel=1e-5)
    assert made.greatest <= made.tolerance
    assert onnx.load_from_string(made.data).opset_import[0].version == OPSET


def test_a_file_says_nothing_of_the_machine_that_made_it(made):
    for trace in (b".py", b"stack_trace", b"/calyx"):
        assert trace not in made.data


def test_a_regression_answers_in_the_targets_own_unit():
    model = model_of({"name": "cost", "center": 100, "scale": 50})
    made = export(model)
    session = onnxruntime.InferenceSession(made.data, providers=["CPUExecutionProvider"])
    (found,) = session.run(["values"], {"rows": np.array([[40.0, 0.0]])})
    by_hand = 100 + 50 * (model.weights["weight"] @ [0, 0, 1, 0] + model.weights["bias"])
    assert found[0] == pytest.approx(by_hand, rel=1e-5)


def test_rows_are_drawn_from_the_schemas_ranges(model):
    rows = draw_rows(model, 1000)
    ages = rows[:, 0]
    assert np.nanmin(ages) >= 0
    assert np.nanmax(ages) <= 100
    assert 0 < np.isnan(ages).sum() < 200
    assert set(rows[:, 1]) == set(model.task.schema.columns[1].categories)


def test_answers_that_differ_are_not_written(model, monkeypatch):
    monkeypatch.setattr(onnx_file, "TOLERANCE", 0.0)
    with pytest.raises(CalyxError, match="answer otherwise"):
        export(model)


class Undecided(nn.Linear):
    """A network whose layers depend on what it is shown."""

    def forward(self, input: Tensor) -> Tensor:
        output = super().forward(input)
        return output if input.sum().item() > 0 else -output


class WithUndecided(Csv):
    """The task with that network."""

    def model(self, num_inputs):
        return Undecided(num_inputs, 2)


def test_a_network_that_cannot_be_exported_is_a_sentence(model):
    task = WithUndecided(model.task.model_section)
    with pytest.raises(UserError, match=r"cannot be exported to ONNX .*: release without --onnx"):
        export(replace(model, task=task))


def test_the_missing_extra_is_named(model, monkeypatch):
    monkeypatch.setattr(onnx_file, "_PACKAGES", ("no_such_package",))
    with pytest.raises(UserError, match="needs the extra onnx"):
        export(model)
