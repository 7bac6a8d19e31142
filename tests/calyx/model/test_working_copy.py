"""A model is lent again, and nothing that one user leaves in it reaches the next."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from calyx.model.weights import load_into, weights_of
from calyx.model.working_copy import WorkingCopy

X = torch.from_numpy(np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32))
CPU = torch.device("cpu")


def stack(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), *layers, nn.Linear(4, 2))


class Leaving(nn.Module):
    """Leaves something behind in each pass, which the next pass adds to its outputs."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.count, self.seen, self.note = kind, 0, [], None
        self.register_buffer("steps", torch.zeros(1), persistent=False)
        self.far = torch.zeros(1)
        self.settings = {"scale": 0.0}

    def forward(self, x):
        out = x + self.count + len(self.seen) + self.steps + self.far + self.settings["scale"]
        out = out if self.note is None else out + self.note.sum().detach()
        match self.kind:
            case "a counter":
                self.count += 1
            case "a list":
                self.seen.append(1)
            case "a buffer that does not travel":
                self.steps += 1
            case "a tensor that is no buffer":
                self.far.data.add_(1)
            case "a setting":
                self.settings["scale"] = 1.0
            case "a note of the last rows":
                self.note = x
            case "a hook":
                self.register_forward_hook(lambda module, x, y: y + 1)
            case "another layer":
                self.add_module("more", nn.Linear(1, 1))
                self.count = 1
        return out


KINDS = ["a counter", "a list", "a buffer that does not travel", "a tensor that is no buffer"]
KINDS += ["a setting", "a note of the last rows", "a hook", "another layer"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_user_leaves_in_a_model_never_reaches_the_next(kind):
    fresh = stack(Leaving(kind))
    weights, working = weights_of(fresh), WorkingCopy(fresh, CPU)
    expected = deepcopy(fresh)(X)
    for _ in range(3):
        model = working.load(weights)
        assert torch.equal(model(X), expected)
        assert not torch.equal(model(X), expected), "the test needs a model that leaves something"


def test_a_model_in_which_only_weights_and_statistics_move_is_copied_once():
    fresh = stack(nn.BatchNorm1d(4), Leaving("nothing"))
    working, other = WorkingCopy(fresh, CPU), {k: v + 1 for k, v in weights_of(fresh).items()}
    first = working.load(weights_of(fresh))
    first.eval()
    for parameter in first.train().parameters():
        parameter.detach().add_(1)
    first(X)
    for weights in (other, weights_of(fresh), other):
        model, plain = working.load(weights), deepcopy(fresh)
        load_into(plain, weights)
        assert model is first
        assert [m.training for m in model.modules()] == [m.training for m in plain.modules()]
        assert torch.equal(model(X), plain(X))
        assert {k: v.tobytes() for k, v in weights_of(model).items()} == {
            k: v.tobytes() for k, v in weights_of(plain).items()
        }


def test_a_model_that_holds_an_object_of_its_author_is_copied_each_time():
    fresh = stack(Leaving("nothing"))
    fresh[1].draw = np.random.default_rng(0)
    working, weights = WorkingCopy(fresh, CPU), weights_of(fresh)
    assert working.load(weights) is not working.load(weights)


def test_weights_of_another_model_are_refused():
    working = WorkingCopy(stack(), CPU)
    working.load(weights_of(stack()))
    with pytest.raises(RuntimeError, match="size mismatch"):
        working.load(weights_of(nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))))
