"""Counts and sums, which add up over clients."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from calyx.metrics import accuracy_of, confusion_matrix
from client.data import Part
from client.evaluation import evaluate

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50)


@given(LABELS)
def test_the_confusion_matrix_is_scikit_learns(pairs):
    true, predicted = np.array(pairs).T
    ours = confusion_matrix(true, predicted, 4)
    assert ours.tolist() == metrics.confusion_matrix(true, predicted, labels=range(4)).tolist()
    assert accuracy_of(ours) == pytest.approx(metrics.accuracy_score(true, predicted))


@given(LABELS, LABELS)
def test_the_counts_of_two_clients_add_up_to_those_of_all_rows(one, other):
    def counts(pairs):
        true, predicted = np.array(pairs).T
        return confusion_matrix(true, predicted, 4)

    assert (counts(one) + counts(other)).tolist() == counts(one + other).tolist()


def test_clients_weighed_by_rows_give_the_loss_and_counts_of_all_rows():
    draw, model = np.random.default_rng(0), torch.nn.Linear(3, 4)
    x = draw.standard_normal((50, 3)).astype(np.float32)
    y = draw.integers(0, 4, 50)
    cpu = torch.device("cpu")
    parts = [evaluate(model, Part(x[s], y[s], 4), cpu) for s in (slice(0, 7), slice(7, 50))]
    union = evaluate(model, Part(x, y, 4), cpu)
    assert sum(p.loss * p.num_examples for p in parts) / 50 == pytest.approx(union.loss, rel=1e-6)
    assert sum(p.counts["confusion"] for p in parts).tolist() == union.counts["confusion"].tolist()
    logits = model(torch.from_numpy(x)).detach().double()
    theirs = metrics.log_loss(y, torch.softmax(logits, 1).numpy(), labels=range(4))
    assert union.loss == pytest.approx(theirs, rel=1e-5)


def test_batches_of_an_evaluation_change_nothing(monkeypatch):
    draw, model = np.random.default_rng(1), torch.nn.Linear(3, 4)
    part = Part(draw.standard_normal((50, 3)).astype(np.float32), draw.integers(0, 4, 50), 4)
    whole = evaluate(model, part, torch.device("cpu"))
    monkeypatch.setattr("client.evaluation.BATCH_ROWS", 7)
    batched = evaluate(model, part, torch.device("cpu"))
    assert batched.loss == pytest.approx(whole.loss, rel=1e-6)
    assert batched.counts["confusion"].tolist() == whole.counts["confusion"].tolist()


def test_no_rows_have_no_loss_and_no_counts():
    empty = Part(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), 4)
    result = evaluate(torch.nn.Linear(3, 4), empty, torch.device("cpu"))
    assert (result.loss, result.num_examples, result.score) == (0.0, 0, 0.0)
