"""A stack of linear layers, computed by NumPy: a call of PyTorch costs more than such a model's arithmetic.

It is for answers to a few rows at a time. Of a network that is anything else nothing is said here, and
PyTorch computes it.

Shapes: N rows, F inputs and K outputs of the network.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calyx.model.layers import takes_rows_apart

if TYPE_CHECKING:
    from torch import nn

Values = NDArray[np.float32]
Step = Callable[[Values], Values]


def read_steps(network: "nn.Module") -> tuple[Step, ...] | None:
    """What `network` does to rows [N, F] float32, one step a layer; None where NumPy cannot say it.

    Its weights are copied. The outputs equal PyTorch's but for rounding, of float32.
    """
    if not takes_rows_apart(network):
        return None
    steps: list[Step] = []
    for layer in _layers(network):
        step = _step(layer)
        if step is None:
            return None
        steps.append(step)
    return tuple(steps)


def compute(steps: tuple[Step, ...], inputs: Values) -> Values:
    """The outputs [N, K] float32 of rows [N, F]."""
    for step in steps:
        inputs = step(inputs)
    return inputs


def _layers(network: "nn.Module") -> "list[nn.Module]":
    """All layers in the order in which they are computed."""
    from torch import nn

    if isinstance(network, nn.Sequential):
        return [inner for layer in network for inner in _layers(layer)]
    return [network]


def _step(layer: "nn.Module") -> Step | None:
    from torch import nn

    match layer:
        case nn.Linear():
            return _linear(layer)
        case nn.ReLU():
            return lambda x: np.maximum(x, np.float32(0))
        case nn.Tanh():
            return lambda x: np.tanh(x)
        case nn.Sigmoid():
            return _sigmoid
        case nn.Identity() | nn.Flatten(end_dim=-1):  # rows have two axes, and a flat one stays so
            return lambda x: x
    return None


def _linear(layer: "nn.Linear") -> Step | None:
    weight = layer.weight.detach().cpu().numpy()
    if weight.dtype != np.float32:
        return None
    turned = np.ascontiguousarray(weight.T)
    bias: nn.Parameter | None = layer.bias
    if bias is None:
        return lambda x: x @ turned
    added = bias.detach().cpu().numpy().copy()
    return lambda x: x @ turned + added


def _sigmoid(x: Values) -> Values:
    small = np.exp(-np.abs(x))  # never overflows
    values: Values = np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    return values
