"""Trainings together are trainings one by one, but for the last bits; what is not computed so says why."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from support.training import CPU, EMPTY, config, job, rows
from torch import nn

from calyx.data.schema import Part
from calyx.machine.hardware import Hardware
from calyx.model.makeup import makeup_of
from calyx.model.weights import weights_of
from client import journal
from client.learning import cohort
from client.learning.cohort import LocalTraining, find_obstacle, learn_together, train_together
from client.learning.dense import read_stack
from client.learning.preparation import prepare
from client.learning.training import train
from client.learning.update import learn
from strategies.ditto import DittoLocal
from strategies.fednova import FedNovaLocal
from strategies.fedprox import FedProxLocal
from strategies.local import LocalObjective
from strategies.scaffold import ScaffoldLocal


def model(outputs=2):
    torch.manual_seed(0)
    hidden = nn.Linear(8, 5, bias=False)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), hidden, nn.ReLU(), nn.Linear(5, outputs))


def targets(n, seed=0):
    part = rows(n, seed)
    return Part(part.x, part.x.sum(axis=1), 0)


def both(make, parts, cfg, objective, validation=EMPTY):
    """Each client's training with its weights, one by one and together."""
    jobs = [job(cfg, objective, client=f"c{i}") for i in range(len(parts))]
    alone = []
    for part, one in zip(parts, jobs, strict=True):
        net = make()
        alone.append((train(net, part, validation, one), list(weights_of(net).values())))
    trainings = [
        LocalTraining(one, part, validation) for part, one in zip(parts, jobs, strict=True)
    ]
    return alone, train_together(read_stack(make()), trainings)


@pytest.mark.parametrize("sizes", [(40, 40), (33, 17, 16, 9, 8, 1), (7,)])
@pytest.mark.parametrize("objective", [LocalObjective(), FedProxLocal(mu=0.7)], ids=["avg", "prox"])
@pytest.mark.parametrize("kind", ["classes", "targets"])
def test_an_epoch_together_is_an_epoch_alone(sizes, objective, kind):
    make = model if kind == "classes" else lambda: model(1)
    parts = [(rows if kind == "classes" else targets)(n, seed=n) for n in sizes]
    for (one, alone), (other, together) in zip(
        *both(make, parts, config(epochs=1), objective), strict=True
    ):
        assert (other.epochs, other.steps) == (one.epochs, one.steps)
        assert other.loss == pytest.approx(one.loss, abs=1e-6)
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_each_client_stops_early_by_its_own_rows_and_keeps_its_best_weights():
    cfg, parts = config(epochs=12, lr=2.0, patience=1), [rows(n, seed=n) for n in (60, 44, 30, 9)]
    alone, together = both(model, parts, cfg, LocalObjective(), rows(30, seed=9))
    assert len({trained.epochs for trained, _ in alone}) > 1, "the test needs clients that differ"
    for (one, weights), (other, close) in zip(alone, together, strict=True):
        assert (other.epochs, other.steps) == (one.epochs, one.steps)
        assert other.validation_loss == pytest.approx(one.validation_loss, abs=1e-4)
        for ours, theirs in zip(close, weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3)


def answers_of(function, clients):
    """The answers, and what each client has written in its journal."""
    notes = [[] for _ in clients]
    if function is learn_together:
        alone = [partial(journal.collect_notes, one) for one in notes]
        return list(map(dict(learn_together(clients, alone)).get, range(len(clients)))), notes
    answers = []
    for client, own in zip(clients, notes, strict=True):
        with journal.collect_notes(own):
            answers += learn([client])
    return answers, notes


def test_answers_and_journals_are_those_of_each_alone(assignments, monkeypatch):
    monkeypatch.setattr(cohort, "_CACHE_BYTES", 1)  # chunks of one client
    clients = prepare(assignments)
    few = clients[1].data.parts | {"train": first(clients[1], 17)}
    clients[1] = replace(clients[1], data=replace(clients[1].data, parts=few))
    alone, written = answers_of(learn, clients)
    together, also = answers_of(learn_together, clients)
    for one, other in zip(written, also, strict=True):
        assert [note.kind for note in one] == [note.kind for note in other]
        for note, close in zip(one, other, strict=True):
            assert close.fields == pytest.approx(note.fields, abs=1e-4)
    for (update, validation), (other, judged) in zip(alone, together, strict=True):
        assert other.num_examples == update.num_examples
        assert judged.counts["hits"].tolist() == validation.counts["hits"].tolist()
        for name, array in update.update.items():
            np.testing.assert_allclose(other.update[name], array, rtol=0, atol=1e-5)


def first(client, n):
    part = client.data.parts["train"]
    return Part(part.x[:n], part.y[:n], part.num_classes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"objective": FedProxLocal(mu=1.0)}, ""),
        ({"objective": FedNovaLocal(rho=0.0)}, ""),
        ({"cfg": config(momentum=0.9)}, "training is not plain SGD"),
        ({"cfg": config(optimizer="adam")}, "training is not plain SGD"),
        ({"objective": ScaffoldLocal()}, "the strategy adds to the loss"),
        ({"objective": DittoLocal(lam=1.0)}, "the strategy keeps something"),
        ({"hardware": Hardware("cpu", 1, "bfloat16", True)}, "hardware.precision is bfloat16"),
        ({"layer": nn.BatchNorm1d(3)}, "the model is no stack"),
        ({"layer": nn.Dropout(0.5)}, "the model is no stack"),
        ({"layer": nn.Conv1d(1, 1, 1)}, "the model is no stack"),
    ],
)
def test_what_keeps_trainings_from_being_one_is_said(change, said):
    asked = {"cfg": config(), "objective": LocalObjective(), "hardware": CPU, "layer": nn.Tanh()}
    asked |= change
    net = nn.Sequential(nn.Linear(3, 3), asked.pop("layer"), nn.Linear(3, 2))
    obstacle = find_obstacle(**asked, makeup=makeup_of(net, 3), stack=read_stack(net))
    assert obstacle.startswith(said) if said else not obstacle


def test_where_there_is_an_obstacle_the_answers_are_learns_bit_for_bit(assignments):
    slow = [
        replace(one.sections, training=replace(one.sections.training, momentum=0.5))
        for one in assignments
    ]
    clients = prepare([replace(one, sections=s) for one, s in zip(assignments, slow, strict=True)])
    alone, together = (answers_of(f, clients)[0] for f in (learn, learn_together))
    for (update, _), (other, _) in zip(alone, together, strict=True):
        for name, array in update.update.items():
            assert other.update[name].tobytes() == array.tobytes()


def test_accuracy_after_many_rounds_is_that_of_one_by_one(assignments):
    """Ten rounds of the mean of three clients' updates, both ways, judged by the clients themselves."""
    ends = []
    for function in (learn, learn_together):
        clients = prepare(assignments)
        for _ in range(10):
            answers, _ = answers_of(function, clients)
            mean = {
                name: np.mean([update.update[name] for update, _ in answers], axis=0)
                for name in answers[0][0].update
            }
            model = clients[0].model
            moved = {name: array + mean.get(name, 0) for name, array in model.weights.items()}
            clients = [replace(one, model=replace(model, weights=moved)) for one in clients]
        counts = [validation.counts for _, validation in answers_of(function, clients)[0]]
        ends.append(sum(c["hits"][0] for c in counts) / sum(c["rows"][0] for c in counts))
    assert ends[0] > 0.8
    assert abs(ends[0] - ends[1]) < 0.02
