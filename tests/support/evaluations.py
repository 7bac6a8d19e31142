"""Clients' evaluations by hand: a model whose outputs are its inputs."""

import numpy as np
import torch

from calyx.data.schema import Part, Schema
from calyx.model.evaluation import evaluate
from calyx.model.metrics import counts_of, evaluation_terms, figures
from calyx.vector.contribution import Contribution, Layout, decode, encode
from calyx.vector.quantise import FixedPoint, add

CPU = torch.device("cpu")
CLASSES = Schema((), ("a", "b", "c", "d"))


class Says(torch.nn.Module):
    """A model whose outputs are its inputs."""

    def forward(self, x):
        return x


def of_values(true, predicted):
    """One client's evaluation of a regression."""
    x = np.array(predicted, np.float32).reshape(-1, 1)
    exact = np.array(true, np.float64)
    return evaluate(Says(), Part(x, exact.astype(np.float32), 0, exact), CPU)


def of_logits(true, logits):
    """One client's evaluation of a classifier."""
    x = np.array(logits, np.float32).reshape(-1, 4)
    return evaluate(Says(), Part(x, np.array(true, np.int64), 4), CPU)


def told(evaluations, schema, over="rows", bits=32):
    """The figures of clients' evaluations, by way of vectors, their sum, and what it says."""
    fixed = FixedPoint(modulus_bits=bits, n_max=16, clip=1.0)
    layout = Layout(fixed, 1, (), (), evaluation_terms(schema, over))
    total = np.zeros(layout.length, np.uint32)
    for one in evaluations:
        part = Contribution(1, {}, {}, counts_of(one, schema, over))
        total = add(total, encode(part, layout, np.zeros(0, np.float32)), fixed)
    return figures(schema, decode(total, len(evaluations), layout).counts)
