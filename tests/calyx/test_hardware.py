"""The device is chosen by config, checked at start, applied once."""

import pytest
import torch

from calyx.errors import ConfigError
from calyx.hardware import Hardware, HardwareConfig, apply, cores, gpu_count, resolve

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
