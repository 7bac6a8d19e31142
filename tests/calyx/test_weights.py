"""Weights: made from a seed, hashed, kept in a file."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from calyx.weights import (
    apply_update,
    hash_weights,
    initial_model,
    load_weights,
    save_weights,
    weights_of,
)

WEIGHTS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([1.5], dtype=np.float32),
    "batches": np.array(7),
}


class Tiny:
    """A task as far as a model goes."""

    def model(self, num_inputs):
        return nn.Sequential(nn.Linear(num_inputs, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def test_initial_weights_follow_from_the_seed_and_touch_no_global_generator():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = weights_of(initial_model(Tiny(), 4, seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert hash_weights(weights_of(initial_model(Tiny(), 4, seed=1))) == hash_weights(one)
    assert hash_weights(weights_of(initial_model(Tiny(), 4, seed=2))) != hash_weights(one)


@pytest.mark.parametrize(
    "other",
    [
        {**WEIGHTS, "a": np.array([1.25], np.float32)},
        {**WEIGHTS, "a": np.array([1.5])},
        {**WEIGHTS, "b": WEIGHTS["b"].reshape(3, 2)},
        {"a": WEIGHTS["a"], "b": WEIGHTS["b"], "batches": WEIGHTS["batches"]},
        {"c": WEIGHTS["b"], "a": WEIGHTS["a"], "batches": WEIGHTS["batches"]},
    ],
)
def test_the_hash_tells_values_types_shapes_names_and_order(other):
    assert hash_weights(other) != hash_weights(WEIGHTS)
    copied = {k: np.array(v, order="F") for k, v in WEIGHTS.items()}
    assert hash_weights(copied) == hash_weights(WEIGHTS)


def test_an_update_is_added_and_rounded_once_and_buffers_stay():
    new = apply_update(WEIGHTS, {"b": np.full((2, 3), 0.1), "a": np.array([1e-12])})
    assert new["b"].tolist() == (WEIGHTS["b"].astype(np.float64) + 0.1).astype(np.float32).tolist()
    assert (new["a"].tolist(), new["batches"]) == ([1.5], 7)
    assert WEIGHTS["b"][0, 0] == 0


def test_a_file_holds_the_weights_bit_for_bit_and_its_hash_is_the_files(tmp_path):
    path = tmp_path / "model.safetensors"
    digest = save_weights(path, WEIGHTS)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert b"__metadata__" not in path.read_bytes()
    loaded = load_weights(path, list(WEIGHTS))
    assert hash_weights(loaded) == hash_weights(WEIGHTS)
    assert save_weights(tmp_path / "again", dict(reversed(WEIGHTS.items()))) == digest
