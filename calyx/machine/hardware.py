"""Which device, how many threads, what precision: chosen by config, checked at start, applied once.

Each machine chooses for itself (`hardware`, or `client.hardware` on a client's own machine), so
nothing here travels. It never initialises CUDA in a process that still has workers to fork.
"""

import math
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from calyx.config.section import PositiveInt, config
from calyx.errors import ConfigError
from calyx.machine.cgroups import cpu_quota

if TYPE_CHECKING:
    import torch


@config
class HardwareConfig:
    """What to run on. Bytes of a model are comparable between equal settings only."""

    name: str
    device: Literal["auto", "cpu", "gpu"]  # auto takes a GPU if there is one
    threads: PositiveInt  # threads of one client; more than 1 may give other bytes
    precision: Literal["float32", "bfloat16"]  # of the forward pass; weights stay float32
    deterministic: bool  # refuse kernels whose result varies from run to run


@dataclass(frozen=True)
class Hardware:
    """What `resolve` settled on; `device` is a name that PyTorch knows."""

    device: Literal["cpu", "cuda"]
    threads: int
    precision: Literal["float32", "bfloat16"]
    deterministic: bool

    @property
    def is_half(self) -> bool:
        """Whether models compute in bfloat16."""
        return self.precision == "bfloat16"


def cores() -> int:
    """Processor cores that this process may use, of a part of one too: by its affinity and its quota."""
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return may if quota is None else min(may, math.ceil(quota))


@lru_cache(maxsize=1)
def gpu_count() -> int:
    """CUDA devices that PyTorch can use, asked without initialising CUDA (else forks would break)."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    import torch

    return torch.cuda.device_count() if torch.version.cuda else 0


def resolve(cfg: HardwareConfig) -> Hardware:
    """Settle on a device. Raises ConfigError if a GPU is asked for and there is none."""
    if cfg.device == "gpu" and gpu_count() == 0:
        raise ConfigError(
            "hardware=gpu needs a CUDA device, and PyTorch finds none on this machine; "
            "use hardware=auto or hardware=cpu, or see `calyx doctor`."
        )
    gpu = cfg.device == "gpu" or (cfg.device == "auto" and gpu_count() > 0)
    return Hardware("cuda" if gpu else "cpu", cfg.threads, cfg.precision, cfg.deterministic)


def check(cfg: HardwareConfig) -> None:
    """Raise ConfigError if a GPU is asked for and there is none; PyTorch is loaded only for that."""
    if cfg.device == "gpu":
        resolve(cfg)


@lru_cache(maxsize=1)
def apply(hardware: Hardware) -> "torch.device":
    """Set this process's threads and determinism; returns the device. Once a process suffices."""
    if hardware.deterministic:
        # cuBLAS reads it when its first handle is made, so it must be set before.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(hardware.threads)
    # The same switch as use_deterministic_algorithms, which also imports PyTorch's compiler (2 s).
    torch.set_deterministic_debug_mode("error" if hardware.deterministic else "default")
    return torch.device(hardware.device)
