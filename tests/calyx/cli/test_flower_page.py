"""docs/flower.md: its table is what the code does, and its task trains.

Its command is run by e2e/test_commands.py.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import apply, fit
from calyx.tasks.task import Task
from strategies.flower import ON_GROUPS, ON_SUMS, REFUSED

TEXT = (Path(__file__).parents[3] / "docs" / "flower.md").read_text()


def test_the_table_says_what_the_code_does():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", TEXT, re.MULTILINE)
    wanted = dict.fromkeys(ON_SUMS, ("runs", "runs"))
    wanted |= dict.fromkeys(ON_GROUPS, ("refused", "runs"))
    wanted |= dict.fromkeys(REFUSED, ("refused", "refused"))
    assert {name: (one, many) for name, one, many in rows} == wanted


@pytest.fixture(scope="module")
def wine():
    names = {}
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code, names)
    return names["Wine"]({"name": "wine"})


def test_the_task_that_is_left_of_a_flower_app_is_one(wine):
    import torch

    task: Task = wine
    tables = [task.load(client, None, 1) for client in task.clients]
    assert sum(map(len, tables)) == 178
    cfg = PreprocessingConfig(
        name="local",
        numeric_imputation="median",
        categorical_imputation="mode",
        fill_value=0.0,
        scaling="standard",
        outliers="keep",
        iqr_factor=3.0,
    )
    x = np.concatenate([apply(fit(t, task.schema, cfg), t) for t in tables])
    y = np.concatenate([t.y for t in tables])
    torch.manual_seed(0)
    model = task.model(x.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
    assert (model(torch.from_numpy(x)).argmax(1).numpy() == y).mean() > 0.9
