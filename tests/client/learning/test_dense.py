"""Gradients by hand are autograd's, bit for bit; of what is no plain stack there are none."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from calyx.model.evaluation import loss_of
from client.learning.dense import read_stack

SIZES = st.lists(st.integers(2, 40), min_size=2, max_size=4)
KINDS = st.sampled_from([nn.ReLU, nn.Tanh, nn.Sigmoid])


@settings(max_examples=200)
@given(SIZES, st.integers(1, 30), KINDS, st.booleans(), st.booleans(), st.integers(0, 99))
def test_gradients_are_autograds_bit_for_bit(sizes, num_rows, kind, has_bias, is_regression, seed):
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    sizes = [*sizes, 1] if is_regression else sizes
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out, bias=has_bias), kind()]
    model = nn.Sequential(nn.Sequential(*layers[:2]), *layers[2:])
    x = torch.randn(num_rows, sizes[0])
    y = torch.randn(num_rows) if is_regression else torch.randint(0, sizes[-1], (num_rows,))
    stack = read_stack(model)
    loss, gradients = stack.gradients(x, y)
    expected = loss_of(model(x), y)
    assert loss.item() == expected.item()
    for one, other in zip(
        gradients, torch.autograd.grad(expected, list(model.parameters())), strict=True
    ):
        assert torch.equal(one, other)


class Own(nn.Linear):
    """A layer of somebody's own."""


LINEAR = nn.Linear(3, 3)
OTHERS = {
    "another layer": nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)),
    "one that draws": nn.Sequential(nn.Linear(3, 3), nn.Dropout()),
    "a layer twice": nn.Sequential(LINEAR, nn.ReLU(), LINEAR),
    "a layer of one input": nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 2)),
    "a frozen layer": nn.Sequential(nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 2)),
    "doubles": nn.Linear(3, 2).double(),
    "one of its author's": nn.Sequential(Own(3, 2)),
    "nothing": nn.Sequential(nn.ReLU()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_plain_stack_of_linear_layers_is_left_to_autograd(name):
    assert read_stack(OTHERS[name]) is None
