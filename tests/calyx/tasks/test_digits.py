"""The task digits: the partition over clients, its limits, and the model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from calyx.composing.compose import compose, resolve
from calyx.errors import ConfigError
from calyx.tasks.digits import Digits
from calyx.tasks.registry import load_task

SECTION = {
    "name": "digits",
    "num_clients": 10,
    "partition": "dirichlet",
    "alpha": 0.3,
    "shards_per_client": 2,
    "min_rows": 10,
    "w_max": 256,
}


def digits(**changes) -> Digits:
    return Digits(SECTION | changes)


def partition(task: Digits, seed: int) -> list[np.ndarray]:
    """Each client's rows [N, 65]: the pixels and the label."""
    tables = [task.load(client, None, seed) for client in task.clients]
    return [np.column_stack([table.x, table.y]) for table in tables]


def in_order(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(rows.T)]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.sampled_from([0.3, 1.0, 100.0]), st.integers(0, 2**63 - 1))
def test_every_row_goes_to_exactly_one_client(num_clients, alpha, seed):
    data = load_digits()
    parts = partition(digits(num_clients=num_clients, alpha=alpha, min_rows=5), seed)
    assert min(map(len, parts)) >= 5
    whole = np.column_stack([data.data / 16, data.target])
    assert (in_order(np.concatenate(parts)) == in_order(whole)).all()


def test_the_partition_depends_on_the_seed_and_on_nothing_else():
    first, again, other = (
        partition(digits(), 1),
        partition(digits(w_max=512), 1),
        partition(digits(), 2),
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert [len(a) for a in first] != [len(b) for b in other]


def test_a_small_alpha_gives_each_client_few_labels_and_a_large_one_all():
    def share_of_the_commonest(alpha: float) -> float:
        parts = partition(digits(alpha=alpha), 1)
        return float(np.mean([np.bincount(p[:, -1].astype(int)).max() / len(p) for p in parts]))

    assert share_of_the_commonest(0.1) > 0.4
    assert share_of_the_commonest(1000.0) < 0.15


@pytest.mark.parametrize("kind", ["iid", "shards", "quantity"])
def test_other_partitions_are_chosen_by_name(kind):
    parts = partition(digits(partition=kind), 1)
    assert sum(map(len, parts)) == 1797
    sizes, labels = [len(part) for part in parts], [len(np.unique(part[:, -1])) for part in parts]
    assert (max(sizes) - min(sizes) <= 2) == (kind != "quantity")
    assert (max(labels) <= 4) == (kind == "shards")


def test_one_client_has_all_rows():
    (rows,) = partition(digits(num_clients=1), 1)
    assert len(rows) == 1797


def test_what_a_caller_does_to_his_rows_changes_nobody_elses():
    task = digits()
    table = task.load("client-00", None, 1)
    before = table.x.copy()
    table.x[:] = -1
    assert (task.load("client-00", None, 1).x == before).all()


@pytest.mark.parametrize("num_clients", [1, 2, 100, 101, 1797])
def test_sorted_names_are_in_the_order_of_their_numbers(num_clients):
    clients = digits(num_clients=num_clients, min_rows=1).clients
    assert list(clients) == sorted(clients)
    assert [int(name.removeprefix("client-")) for name in clients] == list(range(num_clients))
    assert clients[0] in ("client-00", "client-000", "client-0000")


def test_rows_fit_the_schema():
    task = digits()
    table = task.load("client-03", None, 1)
    assert (table.x.dtype, table.y.dtype) == (np.float64, np.int64)
    assert table.x.shape == (len(table), len(task.schema.columns)) == (len(table), 64)
    assert all(column.low == 0 and column.high == 1 for column in task.schema.columns)
    assert table.x.min() == 0
    assert table.x.max() == 1
    assert set(table.y) <= set(range(len(task.schema.classes)))


def test_the_model_has_64_hidden_units_and_ten_logits():
    model = digits().model(64)
    assert sum(p.numel() for p in model.parameters()) == 64 * 64 + 64 + 64 * 10 + 10
    assert model(torch.zeros(3, 64)).shape == (3, 10)


def test_it_has_no_data_folder():
    with pytest.raises(ConfigError, match="reads no folder"):
        digits().load("client-00", Path("anywhere"), 1)


def test_an_unknown_client_is_refused():
    with pytest.raises(ConfigError, match="no client client-10"):
        digits().load("client-10", None, 1)


def test_a_partition_that_no_draw_gives_is_refused_by_the_keys_to_change():
    with pytest.raises(ConfigError, match=r"task\.alpha.*task\.min_rows.*task\.num_clients"):
        digits(num_clients=20, alpha=0.01, min_rows=80).load("client-00", None, 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_clients": 0}, r"task\.num_clients is 0"),
        ({"alpha": 0}, r"task\.alpha is 0"),
        ({"min_rows": 0}, r"task\.min_rows is 0"),
        ({"w_max": 100}, "w_max=100 is not a power of two"),
        ({"num_clients": 100, "min_rows": 18}, "need 1800 rows"),
        ({"partition": "pathological"}, r"task\.partition is \"pathological\""),
        ({"shards_per_client": 0}, r"task\.shards_per_client is 0"),
        ({"seed": 1}, r"task\.seed does not exist"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        digits(**changes)


def test_it_is_the_default():
    assert load_task(resolve(compose([]))["task"]).name == "digits"
