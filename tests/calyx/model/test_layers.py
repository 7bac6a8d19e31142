"""What is known of a model's layers, and of which models nothing is known."""

import pytest
import torch
from torch import nn

from calyx.model.layers import draws_nothing, seeded, takes_rows_apart


class Linear(nn.Linear):
    """Has the name of a layer that is known."""


def hooked():
    layer = nn.Linear(3, 2)
    layer.register_forward_pre_hook(lambda module, x: torch.rand_like(x[0]))
    return layer


def patched():
    layer = nn.Linear(3, 2)
    layer.forward = torch.rand_like
    return layer


@pytest.mark.parametrize(
    ("layer", "is_steady", "is_apart"),
    [
        (nn.Linear(3, 2), True, True),
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten()), True, True),
        (nn.BatchNorm1d(3), True, False),
        (nn.GroupNorm(3, 3), True, False),
        (nn.Flatten(0), True, False),
        (nn.Softmax(0), False, False),
        (nn.Dropout(0.1), False, False),
        (nn.Sequential(nn.Linear(3, 2), nn.RReLU()), False, False),
        (Linear(3, 2), False, False),
        (hooked(), False, False),
        (patched(), False, False),
    ],
    ids=str,
)
def test_only_pytorchs_own_layers_without_additions_are_known(layer, is_steady, is_apart):
    assert draws_nothing(layer) is is_steady
    assert takes_rows_apart(layer) is is_apart


def test_what_may_draw_is_seeded_and_leaves_the_generators_as_they_were():
    before = torch.get_rng_state()
    with seeded(nn.Dropout(0.5), 1, "test"):
        first = torch.rand(3)
    with seeded(nn.Dropout(0.5), 1, "test"):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before)
