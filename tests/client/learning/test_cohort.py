"""Trainings together are trainings one by one, but for the last bits; what is not computed so says why."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.training import EMPTY, config, job, rows
from torch import nn

from calyx.data.schema import Part
from calyx.model.weights import weights_of
from client import journal
from client.learning import cohort
from client.learning.cohort import Person, learn_together, train_together
from client.learning.dense import read_stack
from client.learning.preparation import prepare
from client.learning.training import train
from client.learning.update import learn
from strategies.fedprox import FedProxLocal
from strategies.local import LocalObjective


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
    people = [Person(one, part, validation) for part, one in zip(parts, jobs, strict=True)]
    return alone, train_together(read_stack(make()), people)


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
    with journal.collect_notes() as notes:
        answers = function(clients)
    return answers, {note.kind: len(notes) for note in notes}


def test_answers_are_those_of_learn_in_the_order_of_the_clients(assignments, monkeypatch):
    monkeypatch.setattr(cohort, "_CACHE_BYTES", 1)  # chunks of one client
    clients = prepare(assignments)
    clients[1] = replace(
        clients[1],
        data=replace(
            clients[1].data, parts=clients[1].data.parts | {"train": first(clients[1], 17)}
        ),
    )
    (alone, written), (together, also) = (
        answers_of(function, clients) for function in (learn, learn_together)
    )
    assert also == written
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
        ({"momentum": 0.9}, "not plain SGD"),
        ({"optimizer": "adam"}, "not plain SGD"),
    ],
)
def test_what_is_not_computed_together_is_learned_alone_and_said_once(
    assignments, change, said, caplog
):
    cohort._say.cache_clear()
    changed = [
        replace(
            one,
            sections=replace(one.sections, training=replace(one.sections.training, **change)),
        )
        for one in assignments
    ]
    clients = prepare(changed)
    alone, together = learn(clients), learn_together(clients)
    learn_together(clients)
    for (update, _), (other, _) in zip(alone, together, strict=True):
        for name, array in update.update.items():
            assert other.update[name].tobytes() == array.tobytes()
    assert [said in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Conv1d(1, 1, 1)])
def test_a_model_of_other_layers_is_an_obstacle(assignments, layer):
    (client, *_) = prepare(assignments)
    stack = read_stack(nn.Sequential(nn.Linear(3, 3), layer, nn.Linear(3, 2)))
    assert "not a stack of linear layers" in cohort.find_obstacle(client, stack)


def test_accuracy_after_many_rounds_is_that_of_one_by_one(assignments):
    """Ten rounds of the mean of three clients' updates, both ways, judged by the clients themselves."""
    ends = []
    for function in (learn, learn_together):
        clients = prepare(assignments)
        for _ in range(10):
            answers = function(clients)
            mean = {
                name: np.mean([update.update[name] for update, _ in answers], axis=0)
                for name in answers[0][0].update
            }
            model = clients[0].model
            moved = {name: array + mean.get(name, 0) for name, array in model.weights.items()}
            clients = [replace(one, model=replace(model, weights=moved)) for one in clients]
        counts = [validation.counts for _, validation in function(clients)]
        ends.append(sum(c["hits"][0] for c in counts) / sum(c["rows"][0] for c in counts))
    assert ends[0] > 0.8
    assert abs(ends[0] - ends[1]) < 0.02
