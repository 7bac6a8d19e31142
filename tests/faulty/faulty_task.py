"""A task of six clients, found by its entry point like any user's; client-01 may be broken."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from calyx.config.section import config, parse
from calyx.data.schema import Column, Schema, Table
from calyx.errors import DataError
from calyx.seeding import rng

MARK = 900.0


@config
class FaultyConfig:
    """`fault`: none, infinite, empty, unreadable, crash, hang, raise, diverge or count; `victims` clients
    have it.
    """

    name: str
    w_max: int
    fault: str
    victims: int


class Net(nn.Linear):
    """Logistic regression that does what the fault says when it meets the mark in its rows."""

    fault = "none"

    def forward(self, x):
        if self.fault == "count" and self.training:
            self.count += len(x)
        if (x == MARK).any():
            if self.fault == "crash" and self.training:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "hang" and self.training:
                time.sleep(600)
            if self.fault == "raise":
                raise RuntimeError("secret row 1234")
            if self.fault == "diverge":
                return super().forward(x) * float("nan")
        return super().forward(x)


class Faulty:
    """Two Gaussian blobs a client."""

    name = "faulty"
    clients = tuple(f"client-{i:02d}" for i in range(6))
    schema = Schema((Column("a", "numeric"), Column("b", "numeric")), ("left", "right"))

    def __init__(self, section):
        self.cfg = parse(FaultyConfig, section, "task")
        self.w_max = self.cfg.w_max

    def load(self, client, data_dir: Path | None, seed):
        draw = rng(seed, "rows", client=client)
        y = draw.integers(0, 2, 150)
        x = draw.standard_normal((150, 2)) + y[:, None]
        if client not in (*self.clients[1:], self.clients[0])[: self.cfg.victims]:
            return Table(x, y)
        if self.cfg.fault == "unreadable":
            raise DataError("The file of this client is not there.")
        if self.cfg.fault == "empty":
            return Table(x[:0], y[:0])
        x[:, 1] = np.inf if self.cfg.fault == "infinite" else MARK
        return Table(x, y)

    def model(self, num_inputs):
        net = Net(num_inputs, 2)
        net.fault = self.cfg.fault
        if net.fault == "count":
            net.register_buffer("count", torch.zeros((), dtype=torch.int64))
        with torch.no_grad():
            net.weight.mul_(0.01)
        return net
