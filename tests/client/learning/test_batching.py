"""A last batch of one row joins the one before where a model needs two, and nowhere else."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from support.training import CPU, EMPTY, config, flat, job, rows
from torch import nn
from torch.nn import functional

from calyx.seeding import rng
from client.learning.batching import batch_sizes, is_last_joined
from client.learning.training import train


@pytest.mark.parametrize(
    ("num_rows", "batch_size", "apart", "joined"),
    [
        (33, 16, [16, 16, 1], [16, 17]),
        (17, 16, [16, 1], [17]),
        (3, 2, [2, 1], [3]),
        (48, 16, [16, 16, 16], [16, 16, 16]),
        (34, 16, [16, 16, 2], [16, 16, 2]),
        (1, 16, [1], [1]),
        (3, 1, [1, 1, 1], [1, 1, 1]),
    ],
)
def test_batches_hold_every_row_once(num_rows, batch_size, apart, joined):
    assert batch_sizes(num_rows, batch_size, is_joined=False) == apart
    assert batch_sizes(num_rows, batch_size, is_joined=True) == joined


class Spread(nn.Module):
    """Divides by the spread over the batch: NaN of one row, and no exception."""

    def forward(self, x):
        return x / (x.std(dim=0) + 1)


class Squeezed(nn.Module):
    """Takes every axis of length 1 away, also that of the batch."""

    def forward(self, x):
        return x.squeeze()


def normed(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), *layers, nn.Linear(4, 2))


NEEDS_TWO = {
    "batch normalisation": normed(nn.BatchNorm1d(4)),
    "without running statistics": normed(nn.BatchNorm1d(4, track_running_stats=False)),
    "a group a channel": normed(nn.GroupNorm(4, 4)),
    "a spread over the batch": normed(Spread()),
    "a squeeze": nn.Sequential(nn.Linear(3, 2), Squeezed()),
}
TAKES_ONE = {
    "linear": normed(),
    "layer normalisation": normed(nn.LayerNorm(4), nn.Dropout(0.5)),
    "groups of two": normed(nn.GroupNorm(2, 4)),
    "frozen statistics": normed(nn.BatchNorm1d(4).requires_grad_(False)),
    "nothing fits": nn.Linear(5, 2),
}


@pytest.mark.parametrize(
    ("name", "is_joined"), [*((k, True) for k in NEEDS_TWO), *((k, False) for k in TAKES_ONE)]
)
def test_a_model_says_itself_whether_it_needs_two_rows(name, is_joined):
    net, part = (NEEDS_TWO | TAKES_ONE)[name], rows(17)
    if name == "frozen statistics":
        net[1].train = lambda mode=True: nn.Module.train(net[1], False)
        net[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    drawn = torch.get_rng_state()
    x, y = torch.from_numpy(part.x), torch.from_numpy(part.y)
    assert is_last_joined(net, x, y, 16, CPU) is (name in NEEDS_TWO)
    assert not is_last_joined(net, x, y, 15, CPU)  # two rows are left
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize(
    ("layer", "sizes"), [(nn.BatchNorm1d(4), [8, 9]), (nn.Identity(), [8, 8, 1])]
)
def test_seventeen_rows_by_eights_are_a_plain_loop_over_these_batches(layer, sizes):
    ours, part = normed(layer), rows(17)
    theirs = deepcopy(ours)
    trained = train(ours, part, EMPTY, job(config()))
    optimizer, shuffle = torch.optim.SGD(theirs.parameters(), 0.1), rng(1, "batches", 2, "a")
    for _ in range(3):
        order, losses = torch.from_numpy(shuffle.permutation(17)), []
        for batch in order.split(sizes):
            optimizer.zero_grad()
            loss = functional.cross_entropy(
                theirs(torch.from_numpy(part.x)[batch]), torch.from_numpy(part.y)[batch]
            )
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert torch.equal(flat(ours), flat(theirs))
    assert trained.steps == 3 * len(sizes)  # which scaffold and fednova divide by
    assert trained.loss == pytest.approx(np.average(losses, weights=sizes))


def test_a_model_that_writes_into_its_input_leaves_the_clients_rows_alone():
    class Greedy(nn.Linear):
        """Scales its input in place."""

        def forward(self, x):
            return super().forward(x.mul_(2))

    part, validation = rows(17), rows(30, seed=9)
    kept = part.x.copy(), validation.x.copy()
    train(Greedy(3, 2), part, validation, job(config(epochs=2)))
    assert np.array_equal(part.x, kept[0])
    assert np.array_equal(validation.x, kept[1])
