"""Weights: made from a seed, hashed, kept in a file."""

import hashlib
import struct

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from calyx.model.weights import (
    apply_update,
    float_shapes,
    hash_weights,
    initial_model,
    load_into,
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


def test_the_hash_of_one_tensor_by_hand():
    array = np.array([1.0, -2.0], np.float32)
    head = b"w\0<f4\0(2,)\0"
    said = len(head).to_bytes(4, "little") + head + struct.pack("<2f", 1.0, -2.0)
    assert hash_weights({"w": array}) == hashlib.sha256(said).hexdigest()
    assert hash_weights({"w": array.astype(">f4")}) == hash_weights({"w": array})


def test_what_stands_in_one_tensor_cannot_stand_in_the_next():
    one = {"a": np.array([1, 2], np.float32), "b": np.array([3], np.float32)}
    other = {"a": np.array([1], np.float32), "b": np.array([2, 3], np.float32)}
    assert hash_weights(one) != hash_weights(other)


def test_an_update_by_hand():
    weights = {"w": np.array([1.0, 2.0], np.float32), "n": np.array([5])}
    new = apply_update(weights, {"w": np.array([0.5, -0.25])})
    assert new["w"].tolist() == [1.5, 1.75]
    assert new["w"].dtype == np.float32
    assert (new["n"].tolist(), new["n"].dtype) == ([5], np.array([5]).dtype)


def test_an_update_is_rounded_once_and_not_before_it_is_added():
    # 2^-24 + 2^-48 is just over half a step of float32 at 1; rounded by itself it is just half.
    weights = {"w": np.array([1.0], np.float32)}
    assert apply_update(weights, {"w": np.array([2.0**-24 + 2.0**-50])})["w"][0] > 1
    assert apply_update(weights, {"w": np.array([2.0**-24])})["w"][0] == 1


def test_weights_go_into_a_model_and_come_out_again_as_copies():
    model = Tiny().model(4)
    weights = weights_of(model)
    changed = {k: v + 1 for k, v in weights.items()}
    load_into(model, changed)
    assert hash_weights(weights_of(model)) == hash_weights(changed) != hash_weights(weights)
    weights_of(model)["0.weight"][:] = 0
    assert hash_weights(weights_of(model)) == hash_weights(changed)
    with pytest.raises(RuntimeError):
        load_into(model, {"0.weight": weights["0.weight"]})


def test_only_float_tensors_travel():
    shapes = dict(float_shapes(weights_of(Tiny().model(4))))
    assert "1.num_batches_tracked" not in shapes
    assert shapes["1.running_mean"] == (3,)
    assert shapes["0.weight"] == (3, 4)


def test_a_file_that_was_cut_short_is_not_read(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, WEIGHTS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SafetensorError):
        load_weights(path)
