"""What a client keeps of an algorithm: a round that is asked again begins as it did."""

import numpy as np
import pytest

from client.learning.store import KEPT, Store


def value(weights):
    return float(weights["w"][0]) if weights else None


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "kept", "run", "a client/of ours")
    for number in (1, 2, 5):
        made.write(number, {"w": np.full(1, number, np.float32)})
    return made


def test_a_round_begins_with_what_was_kept_before_it(store):
    assert [value(store.before(n)) for n in (1, 2, 3, 5, 6)] == [None, 1, 2, 2, 5]


def test_a_model_is_judged_with_what_belongs_to_it(store):
    assert [value(store.until(n)) for n in (1, 2, 4, 5, 9)] == [1, 2, 2, 5, 5]


def test_a_round_that_is_repeated_replaces_what_it_kept(store):
    store.write(5, {"w": np.full(1, 50, np.float32)})
    assert value(store.before(6)) == 50
    assert value(store.before(5)) == 2


def test_old_rounds_are_dropped_and_the_oldest_that_is_left_stands_in(store):
    for number in range(6, 6 + KEPT):
        store.write(number, {"w": np.full(1, number, np.float32)})
    assert len(list(store.folder.iterdir())) == KEPT
    assert value(store.until(1)) == 6


def test_what_belongs_to_the_best_round_is_kept_however_long_a_run_waits_for_a_better_one(store):
    for number in range(6, 6 + 2 * KEPT):
        store.write(number, {"w": np.full(1, number, np.float32)}, best=3)
    assert value(store.until(3)) == 2  # the last that this client trained until round 3
    assert len(list(store.folder.iterdir())) == KEPT + 1
    store.write(6 + 2 * KEPT, {"w": np.zeros(1, np.float32)}, best=5 + 2 * KEPT)
    assert len(list(store.folder.iterdir())) == KEPT


def test_clients_and_runs_do_not_see_each_other(store):
    for run, client in (("other", "a client/of ours"), ("run", "a client"), ("run", "../x")):
        assert Store(store.folder, run, client).until(9) == {}
        Store(store.folder, run, client).write(1, {"w": np.zeros(1, np.float32)})
    assert value(store.until(9)) == 5
    assert all(path.parent == store.folder for path in store.folder.parent.rglob("*.safetensors"))


def test_nothing_was_kept_at_first(tmp_path):
    assert Store(tmp_path / "none", "run", "a").until(3) == {}


def test_rounds_beyond_a_million_are_in_their_order(tmp_path):
    store = Store(tmp_path, "run", "a")
    for number in (999_999, 1_000_000):
        store.write(number, {"w": np.full(1, number, dtype=np.float32)})
    assert store.round_of(2**31 - 1) == 1_000_000
    assert store.before(1_000_000)["w"] == 999_999
