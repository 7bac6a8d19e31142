"""What a local training in a test begins with: rows of two classes, a config, a job."""

import numpy as np
import torch

from calyx.data.schema import Part
from calyx.machine.hardware import Hardware
from calyx.model.training_config import EarlyStopping, TrainingConfig
from client.learning.training import LocalJob
from strategies.local import LocalObjective

CPU = Hardware("cpu", 1, "float32", True)
EMPTY = Part(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), 2)


def rows(n, seed=0):
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 2, n)
    return Part((draw.standard_normal((n, 3)) + y[:, None]).astype(np.float32), y, 2)


def config(**other):
    values = {
        "epochs": 3,
        "batch_size": 8,
        "lr": 0.1,
        "optimizer": "sgd",
        "momentum": 0.0,
        "weight_decay": 0.0,
    }
    stopping = EarlyStopping(patience=other.pop("patience", None), min_delta=0.0)
    return TrainingConfig(name="test", early_stopping=stopping, **(values | other))


def job(cfg, objective=None, client="a", hardware=CPU):
    return LocalJob(cfg, objective or LocalObjective(), hardware, 1, 2, client)


def flat(net):
    return torch.cat([p.detach().reshape(-1) for p in net.parameters()])
