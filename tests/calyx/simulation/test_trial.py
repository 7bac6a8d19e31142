"""A model is tried before the start as training, evaluation and prediction will use it."""

import numpy as np
import pytest
import torch
from support.training import CPU, config, rows
from torch import nn

from calyx.data.schema import Column, Schema
from calyx.errors import ConfigError
from calyx.simulation.trial import Trial, check_judging, train_once, unable_clients
from client.rows.data import ClientData

BN = "Expected more than 1 value per channel when training"


class Ships:
    """Three numbers, two classes."""

    name = "fleet"
    schema = Schema(tuple(Column(c, "numeric") for c in "abc"), ("no", "yes"))

    def model(self, width):
        """Where a model without code of its own is said to be from."""


class Net(nn.Module):
    """A linear layer, and what is done to its output [B, 2]."""

    def __init__(self, change):
        super().__init__()
        self.out, self.change = nn.Linear(3, 2), change

    def forward(self, x):
        return self.change(self.out(x), x, self)


def people(**sizes):
    """Clients with so many training rows, the most first."""
    order = sorted(sizes.items(), key=lambda item: -item[1])
    return [ClientData(n, Ships(), {}, {"train": rows(k)}, None, ()) for n, k in order]


def trial(model, **keys):
    return Trial(Ships(), model, config(**keys), CPU, 1)


def normed(*layers):
    return nn.Sequential(nn.Linear(3, 4), *layers, nn.Linear(4, 2))


def fail(output, x, net):
    raise KeyError("colour")


def only_training(output, x, net):
    if not net.training:
        raise RuntimeError("not for evaluation")
    return output


MISTAKES = {
    "three outputs": (
        nn.Linear(3, 3),
        r"outputs \[8, 3\] for 8 rows, and not \[8, 2\], one a class",
    ),
    "a tuple": (Net(lambda o, x, net: (o, x)), "it gives a tuple, and not a tensor"),
    "numpy": (Net(lambda o, x, net: o.detach().numpy()), "it gives a ndarray, and not a tensor"),
    "classes": (Net(lambda o, x, net: o.argmax(1)), r"outputs \[8\] for 8 rows"),
    "not a number": (Net(lambda o, x, net: o / 0), "it gives NaN or infinity for some"),
    "a gradient that is none": (Net(lambda o, x, net: (o * 0).sqrt()), "NaN or infinite after one"),
    "no gradient": (Net(lambda o, x, net: o.detach()), "its outputs reach no parameter"),
    "another width": (nn.Linear(4, 2), "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    "64 bits": (nn.Linear(3, 2).double(), "RuntimeError: .* dtype"),
    "an exception": (
        Net(fail),
        r"KeyError: 'colour' \(simulation/test_trial.py, line [0-9]+\)",
    ),
    "nothing to train": (nn.Flatten(), "it has no parameter that training could move"),
    "one batch size": (
        Net(lambda o, x, net: o.view(8, 2)),
        r"with a batch of 4 rows of b: RuntimeErr",
    ),
}


@pytest.mark.parametrize(("model", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_model_is_one_sentence_on_all_whom_it_hinders(model, words):
    found = unable_clients(trial(model), people(a=16, b=12))
    hindered = {name for one in found for name in one.clients}
    assert hindered == ({"b"} if words.endswith("RuntimeErr") else {"a", "b"})
    sentence = found[0].sentence
    assert sentence.startswith(
        "The model of task=fleet cannot be trained on its clients' rows, with"
    )
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(sentence)
    assert sentence.endswith("Mend the task's `model`, or its `load`.")


def test_no_client_is_hindered_by_the_remainder_of_its_rows():
    assert unable_clients(trial(normed(nn.BatchNorm1d(4))), people(a=17, b=16, c=9, d=2)) == []


def test_a_client_with_one_row_is_named_where_a_model_needs_two():
    (found,) = unable_clients(trial(normed(nn.BatchNorm1d(4))), people(a=17, b=16, one=1))
    assert found.clients == ("one",)
    assert found.sentence.startswith(
        "one cannot take part: it has one training row, and the model "
    )
    assert f"ValueError: {BN}" in found.sentence
    assert "(layer 1, BatchNorm1d; simulation/test_trial.py, line " in found.sentence
    assert unable_clients(trial(normed()), people(a=17, b=16, one=1)) == []


def test_batches_of_one_row_hinder_everybody_and_the_key_is_named():
    (found,) = unable_clients(trial(normed(nn.BatchNorm1d(4)), batch_size=1), people(a=5, b=1))
    assert found.clients == ("a", "b")
    assert "as training.batch_size=1 asks" in found.sentence
    assert "Use training.batch_size=2 or more" in found.sentence


def test_a_hundred_clients_cost_no_more_tries_than_their_kinds_of_batches(monkeypatch):
    tries = []
    monkeypatch.setattr(
        "calyx.simulation.trial.train_once", lambda trial, rows: tries.append(len(rows))
    )
    unable_clients(trial(normed()), people(**{f"c{i}": 8 + i for i in range(100)}))
    assert sorted(tries) == [1, 2, 8]  # of 8 kinds: the least, the one above it, whole batches


JUDGING = {
    "only in training": (Net(only_training), "RuntimeError: not for evaluation"),
    "several rows at once": (
        normed(nn.BatchNorm1d(4, track_running_stats=False)),
        f"ValueError: {BN}",
    ),
    "a squeeze": (Net(lambda o, x, net: o.squeeze()), r"it gives outputs \[2\] for 1 row, and"),
    "a group a channel": (normed(nn.GroupNorm(4, 4)), "ValueError: Expected more than 1 value"),
}


@pytest.mark.parametrize(("model", "words"), JUDGING.values(), ids=JUDGING)
def test_a_model_that_cannot_judge_one_row_is_refused(model, words):
    (person,) = people(a=20)
    tried = trial(model)
    trained = train_once(tried, rows(8))
    with pytest.raises(
        ConfigError, match=rf"cannot be evaluated, nor predict, with rows of a: {words}"
    ):
        check_judging(tried, trained, person)


ODD = {
    "centred by the batch": (
        Net(lambda o, x, net: o - o.mean(0)),
        "judges a row by the rows beside it too",
    ),
    "nothing of the inputs": (
        Net(lambda o, x, net: o * 0 + net.out.bias),
        "gives every row the same outputs, whatever its inputs",
    ),
    "softmax": (Net(lambda o, x, net: o.softmax(1)), "gives probabilities"),
    "logarithms of them": (Net(lambda o, x, net: o.log_softmax(1)), None),
    "sound": (normed(nn.BatchNorm1d(4), nn.Dropout(0.5)), None),
}


@pytest.mark.parametrize(("model", "words"), ODD.values(), ids=ODD)
def test_what_is_odd_in_how_a_model_judges_is_said(model, words):
    (person,) = people(a=20)
    tried = trial(model)
    said = check_judging(tried, train_once(tried, rows(8)), person)
    assert len(said) == (words is not None)
    assert all(f"The model of task=fleet {words}" in sentence for sentence in said)


def test_a_try_leaves_the_model_as_it_was():
    model = normed(nn.BatchNorm1d(4))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    unable_clients(trial(model), people(a=17, one=1))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert np.isfinite(model[0].weight.detach().numpy()).all()
