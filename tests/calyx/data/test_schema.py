"""What every task has in common: its files, its protocol, and that it costs nothing to import."""

import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from calyx.composing.compose import compose, resolve
from calyx.config.section import parse
from calyx.data.schema import Column, Schema, Table, join
from calyx.preprocessing.choice import choose
from calyx.preprocessing.config import WrittenPreprocessing
from calyx.preprocessing.fitting import num_inputs
from calyx.tasks.registry import load_task
from calyx.vector.weighing import check_w_max

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# A csv task is nothing without the user's schema; tests/calyx/tasks/test_csv.py brings some.
TASKS = sorted(set(PROJECT["entry-points"]["calyx.tasks"]) - {"csv"})


@pytest.mark.parametrize("name", TASKS)
def test_a_tasks_file_sets_its_section_and_may_set_what_suits_its_model(name):
    file = ROOT / "conf" / "task" / f"{name}.yaml"
    assert file.read_text().startswith("# @package _global_\n")
    config = resolve(compose([f"task={name}"]))
    assert config["task"]["name"] == name
    assert config["task"]["data_dir"] is None
    assert config["training"]["name"] == "default"  # what the task leaves out stays


@pytest.mark.parametrize("name", TASKS)
def test_a_task_describes_itself_before_any_data_is_read(name):
    task = load_task(resolve(compose([f"task={name}"]))["task"])
    assert task.name == name
    assert list(task.clients) == sorted(set(task.clients))
    names = [column.name for column in task.schema.columns]
    assert len(names) == len(set(names))
    for column in task.schema.columns:
        assert bool(column.categories) == (column.kind == "categorical")
        assert not set(column.categories) & set(column.missing_codes)


@pytest.mark.parametrize("name", TASKS)
def test_a_tasks_model_takes_what_its_own_preprocessing_gives(name):
    config = resolve(compose([f"task={name}"]))
    task = load_task(config["task"])
    written = parse(WrittenPreprocessing, config["preprocessing"], "preprocessing")
    cfg = choose(written, task.schema, config["phases"]).cfg
    width = num_inputs(task.schema, cfg)
    assert task.model(width)(torch.zeros(3, width)).shape == (3, task.schema.num_outputs)


@pytest.mark.parametrize(
    "module", [*(f"calyx.tasks.{name}" for name in [*TASKS, "csv"]), "calyx.preprocessing.fitting"]
)
def test_a_module_that_checks_configs_imports_no_heavy_package(module):
    heavy = ("torch", "sklearn", "flwr", "pandas", "mlxtend")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("w_max", [1, 2, 256, 2**24, None])
def test_powers_of_two_are_weights(w_max):
    check_w_max(w_max)


@pytest.mark.parametrize("w_max", [-2, 0, 3, 255, 2**25])
def test_other_weights_are_refused(w_max):
    with pytest.raises(ValueError, match=f"w_max={w_max} is not a power of two"):
        check_w_max(w_max)


def test_taking_rows_keeps_their_order():
    table = Table(np.arange(6.0).reshape(3, 2), np.array([0, 1, 2]))
    taken = table.take(np.array([2, 0]))
    assert taken.x.tolist() == [[4, 5], [0, 1]]
    assert taken.y.tolist() == [2, 0]


BESIDE = {
    "blocks": np.array([5, 5, 9]),
    "parts": np.array([0, 2, 1], dtype=np.int8),
    "times": np.array([0.5, 1.5, 2.5]),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_decides_the_split_goes_with_its_rows(name):
    table = Table(np.arange(3.0)[:, None], np.arange(3), unread=("id",), **{name: BESIDE[name]})
    again = join([table.take(np.array([2])), table.take(np.array([0, 1]))])
    assert getattr(again, name).tolist() == BESIDE[name][[2, 0, 1]].tolist()
    assert getattr(again, name).dtype == BESIDE[name].dtype
    assert again.y.tolist() == [2, 0, 1]
    assert again.unread == ("id",)
    with pytest.raises(ValueError, match=f"some tables have {name}"):
        join([table, Table(table.x, table.y)])


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"blocks": np.arange(2)}, "blocks is of shape"),
        ({"parts": np.array([0, 1, 3], dtype=np.int8)}, "parts are 0"),
        ({"times": np.array([0, 1, np.nan])}, "a time is missing"),
        (BESIDE, "blocks and parts and times each decide"),
    ],
)
def test_a_table_whose_split_contradicts_itself_is_refused(beside, words):
    with pytest.raises(ValueError, match=words):
        Table(np.zeros((3, 1)), np.zeros(3), **beside)


@pytest.mark.parametrize("words", [("no",), ("no", "no"), ("no", "yes", "perhaps")])
def test_a_column_has_a_word_of_its_own_for_each_category_or_none(words):
    with pytest.raises(ValueError, match="smoker needs a word of its own for each category"):
        Column("smoker", "categorical", categories=(0.0, 1.0), words=words)


def test_a_category_without_a_word_is_called_by_its_number():
    assert Column("sex", "categorical", categories=(0.0, 1.5)).word(1.5) == "1.5"
    worded = Column("sex", "categorical", categories=(1.0, 0.0), words=("male", "female"))
    assert worded.word(0.0) == "female"


def test_a_schema_that_another_process_gets_is_equal_and_has_the_hash_of_that_process():
    schema = Schema((Column("age", "numeric", low=0),), ("no", "yes"))
    before = hash(schema), schema.alike
    there = pickle.loads(pickle.dumps(schema))
    assert there == schema
    assert vars(there).keys() == {"columns", "classes", "target"}
    assert (hash(there), len(there.alike)) == (before[0], 1)


def test_hashes_of_taken_rows_are_those_of_a_table_of_these_rows():
    x = np.array([[1.0, 2.0], [3.0, np.nan], [1.0, 2.0]])
    table = Table(x, np.array([0, 1, 0]))
    own = table.hashes
    rows = np.array([2, 1])
    assert table.take(rows).hashes.tolist() == [own[0], own[1]]
    assert table.take(rows).hashes.tolist() == Table(x[rows], table.y[rows]).hashes.tolist()
