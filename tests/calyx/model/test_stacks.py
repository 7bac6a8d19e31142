"""A stack of layers by NumPy, against PyTorch on the same rows."""

import numpy as np
import pytest
import torch
from torch import nn

from calyx.model.stacks import compute, read_steps

ROWS = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) * 20


@pytest.mark.parametrize(
    "network",
    [
        nn.Linear(8, 3),
        nn.Linear(8, 3, bias=False),
        nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)),
        nn.Sequential(
            nn.Flatten(),
            nn.Sequential(nn.Linear(8, 5), nn.Tanh()),
            nn.Identity(),
            nn.Linear(5, 2),
            nn.Sigmoid(),
        ),
    ],
)
def test_numpy_gives_what_pytorch_gives(network: nn.Module) -> None:
    steps = read_steps(network)
    assert steps is not None
    with torch.no_grad():
        expected = network(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(compute(steps, ROWS), expected, rtol=1e-4, atol=1e-5)


class Doubling(nn.Linear):
    """A layer of somebody's own, which has the name of none of PyTorch's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_what_numpy_cannot_say_is_left_to_pytorch() -> None:
    hooked = nn.Linear(8, 3)
    hooked.register_forward_hook(lambda module, inputs, output: output * 2)
    others = [Doubling(8, 3), hooked, nn.Sequential(nn.Linear(8, 3), nn.GELU()), nn.BatchNorm1d(8)]
    assert [read_steps(network) for network in others] == [None] * 4
