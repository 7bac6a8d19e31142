"""What goes wrong in a task's own code is told with its text, its layer and its author's line."""

import sys

import pytest
import torch
from torch import nn

from calyx.tasks.causes import cause_of, place_of
from strategies.local import Batch

SOURCE = """
from torch import nn


class Ships:
    def load(self, client):
        return {"heat": 1}[client]

    def model(self, width):
        return nn.Sequential(nn.Linear(width, 2), nn.BatchNorm1d(2))


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, x):
        return self.inner(x)


class Unborn(nn.Module):
    def __init__(self):
        self.inner = nn.Linear(3, 2)
"""


@pytest.fixture(params=["installed", "beside"])
def fleet(request, tmp_path, monkeypatch):
    """The module `fleet.task`; it may lie where packages are installed."""
    package = tmp_path / "fleet"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "task.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    if request.param == "installed":
        monkeypatch.setattr("calyx.tasks.causes._LIBRARIES", (str(tmp_path), sys.prefix))
    for name in ("fleet", "fleet.task"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import fleet.task

    yield fleet.task
    for name in ("fleet", "fleet.task"):
        sys.modules.pop(name, None)


def caught(work):
    with pytest.raises(Exception) as found:  # noqa: PT011 - whatever it is
        work()
    return found.value


def test_an_exception_is_told_with_the_line_of_the_task(fleet):
    task = fleet.Ships()
    error = caught(lambda: task.load("cold"))
    line = SOURCE.splitlines().index('        return {"heat": 1}[client]') + 1
    assert cause_of(error, task) == f"KeyError: 'cold' (fleet/task.py, line {line})"


def test_a_layer_of_pytorchs_is_named_and_the_line_is_the_models(fleet):
    task = fleet.Ships()
    model = task.model(3)
    x, y = torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64)
    error = caught(lambda: Batch(model, {}, x, y).loss)
    line = SOURCE.splitlines().index("    def model(self, width):") + 1
    told = cause_of(error, task)
    assert told.startswith("ValueError: Expected more than 1 value per channel when training, got ")
    assert told.endswith(f" (layer 1, BatchNorm1d; fleet/task.py, line {line})")
    assert place_of(task, "model") == f"fleet/task.py, line {line}"


def test_a_layer_in_a_module_of_ones_own_is_told_with_the_line_that_called_it(fleet):
    error = caught(lambda: fleet.Own()(torch.zeros(2, 5)))
    line = SOURCE.splitlines().index("        return self.inner(x)") + 1
    assert cause_of(error, fleet.Ships()).endswith(
        f"(layer inner, Linear; fleet/task.py, line {line})"
    )


def test_a_module_that_leaves_out_its_base_is_told_as_pytorch_does(fleet):
    with pytest.raises(AttributeError) as caught:
        fleet.Unborn()
    assert cause_of(caught.value, fleet.Ships()) == (
        "AttributeError: cannot assign module before Module.__init__() call (fleet/task.py, line 24)"
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(), "ValueError"),
        (ValueError("two\nlines \x1b[31m"), "ValueError: two lines ?[31m"),
        (RuntimeError("x" * 999), f"RuntimeError: {'x' * 299}…"),
    ],
)
def test_a_text_is_one_printable_line_whatever_is_in_it(error, told):
    assert cause_of(error) == told


def test_what_was_never_written_in_a_file_has_no_place():
    class Task:
        model = nn.Linear

    assert place_of(Task(), "nothing") == ""
    assert place_of(eval("type('T', (), {'model': len})"), "model") == ""
