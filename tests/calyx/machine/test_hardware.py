"""The device is chosen by config, checked at start, applied once."""

import numpy as np
import pytest
import torch
from torch import nn

from calyx.config.section import parse
from calyx.data.schema import Part
from calyx.errors import ConfigError
from calyx.machine.hardware import Hardware, HardwareConfig, apply, cores, gpu_count, resolve
from calyx.model.training_config import EarlyStopping, TrainingConfig
from calyx.model.weights import hash_weights, weights_of
from calyx.seeding import global_scope
from client.learning.training import LocalJob, train
from strategies.local import LocalObjective

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def config(device):
    return HardwareConfig(
        name=device, device=device, threads=1, precision="float32", deterministic=True
    )


@NO_GPU
def test_without_a_gpu_auto_is_the_cpu_and_gpu_is_refused():
    assert gpu_count() == 0
    assert resolve(config("auto")) == resolve(config("cpu")) == Hardware("cpu", 1, "float32", True)
    with pytest.raises(ConfigError, match="needs a CUDA device"):
        resolve(config("gpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device on this machine")
def test_with_a_gpu_auto_takes_it_and_counting_does_not_initialise_it():
    assert resolve(config("auto")).device == "cuda"
    assert not torch.cuda.is_initialized()


def test_threads_and_determinism_are_set():
    assert apply(Hardware("cpu", 1, "float32", True)) == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert cores() >= 1


def test_another_choice_in_the_same_process_is_applied_again():
    try:
        apply(Hardware("cpu", 2, "float32", False))
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        apply(Hardware("cpu", 1, "float32", True))
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("change", [{"device": "tpu"}, {"threads": 0}, {"precision": "float16"}])
def test_what_no_machine_has_is_refused(change):
    section = {
        "name": "x",
        "device": "cpu",
        "threads": 1,
        "precision": "float32",
        "deterministic": True,
    }
    with pytest.raises(ConfigError, match=f"hardware.{next(iter(change))}"):
        parse(HardwareConfig, section | change, "hardware")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device on this machine")
def test_an_epoch_on_the_gpu_gives_the_same_bytes_twice():
    hardware = Hardware("cuda", 1, "float32", True)
    apply(hardware)
    draw = np.random.default_rng(0)
    part = Part(draw.standard_normal((100, 8)).astype(np.float32), draw.integers(0, 3, 100), 3)
    cfg = TrainingConfig(
        name="test",
        epochs=1,
        batch_size=16,
        lr=0.1,
        optimizer="adam",
        momentum=0.0,
        weight_decay=0.0,
        early_stopping=EarlyStopping(patience=None, min_delta=0.0),
    )
    hashes = []
    for _ in range(2):
        with global_scope(1, "model"):
            net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 3))
        train(net, part, part, LocalJob(cfg, LocalObjective(), hardware, 1, 1, "a"))
        hashes.append(hash_weights(weights_of(net)))
    assert hashes[0] == hashes[1]
