"""Counts and exact sums, which add up over clients to the figures of the pooled rows."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from support.evaluations import CLASSES, CPU, of_logits, of_values, told

from calyx.data.schema import Part, Schema, Target
from calyx.model.details import coarsen_details, confusion_matrix, details
from calyx.model.evaluation import cross_entropy, evaluate
from calyx.model.metrics import counts_of, evaluation_terms, figures
from calyx.vector.contribution import Layout
from calyx.vector.figures import IMPOSSIBLE
from calyx.vector.quantise import FixedPoint

THREE = Schema((), ("a", "b", "c"))
UNIT = Schema((), (), Target("cost", 0.0, 1.0))
LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50)
BOUND = float(np.float32(1e30))
WILD = st.floats(-BOUND, BOUND, width=32).filter(lambda v: v == 0 or abs(v) > 1e-30)
SPOILT = st.sampled_from([math.nan, math.inf, -math.inf])
CLIENTS = st.lists(
    st.lists(st.tuples(WILD, st.one_of(WILD, WILD, WILD, SPOILT)), max_size=6), max_size=5
)


@given(LABELS)
def test_the_confusion_matrix_is_scikit_learns(pairs):
    true, predicted = np.array(pairs).T
    ours = confusion_matrix(true, predicted, 4)
    assert ours.tolist() == metrics.confusion_matrix(true, predicted, labels=range(4)).tolist()


@given(CLIENTS.filter(bool), st.sampled_from([16, 24, 32]))
def test_a_regressions_figures_are_those_of_the_pooled_rows_or_absent(clients, bits):
    found = told(
        [of_values(*zip(*c, strict=True)) if c else of_values([], []) for c in clients],
        UNIT,
        bits=bits,
    )
    true, predicted = np.array([row for c in clients for row in c]).reshape(-1, 2).T
    if not len(true) or not np.isfinite(predicted).all():
        assert set(found.absent) == {"loss", "r2", "rmse", "mae"}
        return
    error = predicted.astype(np.longdouble) - true
    assert found.values["loss"] == pytest.approx(float((error**2).mean()), rel=1e-9)
    assert found.values["mae"] == pytest.approx(float(np.abs(error).mean()), rel=1e-9)
    assert found.values["rmse"] == pytest.approx(float((error**2).mean()) ** 0.5, rel=1e-9)
    if len(set(true)) < 2:
        assert "r2" in found.absent
    else:
        spread = ((true - true.astype(np.longdouble).mean()) ** 2).sum()
        assert found.values["r2"] == pytest.approx(float(1 - (error**2).sum() / spread), rel=1e-7)


@given(CLIENTS.filter(bool))
def test_with_equal_weights_a_regressions_figures_are_means_over_clients(clients):
    with_rows = [np.array(c).T for c in clients if c]
    evaluations = [of_values(*np.array(c).reshape(-1, 2).T) for c in clients]
    found = told(evaluations, UNIT, "clients")
    if not with_rows or not all(np.isfinite(p).all() for _, p in with_rows):
        assert set(found.absent) == {"loss", "r2", "rmse", "mae"}
        return
    means = [((p.astype(np.longdouble) - t) ** 2).mean() for t, p in with_rows]
    assert found.values["loss"] == pytest.approx(float(np.mean(means)), rel=1e-9)
    weights = np.concatenate([np.full(len(t), 1 / len(t)) for t, _ in with_rows])
    true, predicted = np.concatenate(with_rows, axis=1)
    if len(set(true)) > 1 and np.std(true) > 1e-6 * np.abs(true).max():
        theirs = metrics.r2_score(true, predicted, sample_weight=weights)
        assert found.values["r2"] == pytest.approx(theirs, rel=1e-6)


LOGITS = st.lists(st.one_of(WILD, st.floats(-5, 5, width=32)), min_size=4, max_size=4)
ROWS = st.lists(st.tuples(st.integers(0, 3), LOGITS), max_size=6)


@given(st.lists(ROWS, min_size=1, max_size=4), st.booleans(), st.sampled_from(["rows", "clients"]))
def test_a_classifiers_figures_are_those_of_the_pooled_rows_or_clients(clients, is_spoilt, over):
    if is_spoilt and clients[0]:
        clients[0][0][1][2] = math.nan
    evaluations = [of_logits([y for y, _ in c], [x for _, x in c]) for c in clients]
    found = told(evaluations, CLASSES, over)
    rows = [(i, y, np.array(x)) for i, c in enumerate(clients) for y, x in c]
    if not rows or any(np.isnan(x).any() for _, _, x in rows):
        assert set(found.absent) == {"loss", "accuracy"}
        return
    weights = [1 if over == "rows" else 1 / len(clients[i]) for i, _, _ in rows]
    logits = torch.tensor(np.array([x for _, _, x in rows]), dtype=torch.float64)
    true = torch.tensor([y for _, y, _ in rows])
    losses = torch.nn.functional.cross_entropy(logits, true, reduction="none").numpy()
    assert found.values["loss"] == pytest.approx(
        np.average(losses, weights=weights), rel=1e-11, abs=1e-12
    )
    best = logits.numpy().argmax(axis=1)
    theirs = metrics.accuracy_score(true, best, sample_weight=weights)
    assert found.values["accuracy"] == pytest.approx(
        theirs, abs=1e-12 if over == "rows" else 2**-30
    )


def test_one_large_target_makes_r2_what_scikit_learn_says():
    true = np.array([100.0, 98, 103, 101, 3000, 97])
    predicted = np.array([101.0, 99, 100, 102, 100, 99], np.float32)
    schema = Schema((), (), Target("cost", 100.0, 5.0))
    ours = told([of_values((true - 100) / 5, (predicted - 100) / 5)], schema).values
    assert ours["r2"] == pytest.approx(metrics.r2_score(true, predicted), rel=1e-6)
    assert ours["rmse"] == pytest.approx(metrics.mean_squared_error(true, predicted) ** 0.5)
    assert ours["mae"] == pytest.approx(metrics.mean_absolute_error(true, predicted))


def test_a_target_that_hardly_varies_for_its_scale_keeps_its_digits():
    draw = np.random.default_rng(0)
    true = draw.normal(0.5, 0.035, 40)
    predicted = true + draw.normal(0, 0.013, 40)
    schema = Schema((), (), Target("share", 0.0, 200.0))
    halves = [of_values(true[s] / 200, predicted[s] / 200) for s in (slice(0, 7), slice(7, 40))]
    ours = told(halves, schema).values
    assert ours["r2"] == pytest.approx(metrics.r2_score(true, predicted), rel=1e-5)
    assert ours["rmse"] == pytest.approx(metrics.mean_squared_error(true, predicted) ** 0.5)


def test_rows_without_a_finite_output_are_counted_and_no_figure_is_told():
    found = told([of_values([1, 2], [1, math.nan]), of_values([3], [3])], UNIT)
    assert found.absent["loss"] == "1 of 3 rows has an output that is not finite"
    of_clients = told([of_values([1, 2], [1, math.inf]), of_values([3], [3])], UNIT, "clients")
    reason = "1 of 2 clients has rows with an output that is not finite"
    assert set(of_clients.absent.values()) == {reason}


def test_a_client_without_such_a_model_adds_nothing_and_is_counted():
    layout = Layout(FixedPoint(32, 16, 1.0), 1, (), (), evaluation_terms(UNIT, "rows"))
    counts = counts_of(None, UNIT, "rows")
    assert counts["untrained"][0] == 1
    assert told([None, of_values([1, 2, 4], [1, 2, 3])], UNIT).values["mae"] == pytest.approx(1 / 3)
    assert told([None], UNIT).absent["r2"] == "no client has trained a model of its own"
    assert layout.length < 120  # elements of four bytes


def test_a_sure_classifier_has_a_small_loss_and_not_none():
    ours = cross_entropy(np.array([[50.0, 0, 0], [0, 80, 0]]), np.array([0, 1]))
    theirs = [math.log1p(2 * math.exp(-50)), math.log1p(2 * math.exp(-80))]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_batches_of_an_evaluation_change_nothing(monkeypatch):
    draw, model = np.random.default_rng(1), torch.nn.Linear(3, 4)
    part = Part(draw.standard_normal((50, 3)).astype(np.float32), draw.integers(0, 4, 50), 4)
    whole = evaluate(model, part, CPU)
    monkeypatch.setattr("calyx.model.evaluation.BATCH_ROWS", 7)
    batched = evaluate(model, part, CPU)
    assert batched.loss == pytest.approx(whole.loss, rel=1e-6)
    assert batched.sums["hits"].tolist() == whole.sums["hits"].tolist()


def test_no_rows_have_no_loss_and_no_score():
    empty = Part(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), 4)
    result = evaluate(torch.nn.Linear(3, 4), empty, CPU)
    assert (result.loss, result.num_examples, result.score) == (None, 0, None)
    assert told([result], CLASSES).absent == {
        "loss": "there are no rows",
        "accuracy": "there are no rows",
    }


def test_a_single_row_has_no_r2():
    assert told([of_values([3.0], [2.0])], UNIT).absent["r2"].startswith("a single row")


@pytest.mark.parametrize(
    ("schema", "name", "value"),
    [(CLASSES, "hits", 4), (UNIT, "absolute_error", 2**200), (UNIT, "target_square", 0)],
)
def test_sums_that_no_rows_can_have_tell_no_figure(schema, name, value):
    one = of_values([1, 2, 4], [1, 2, 3]) if schema is UNIT else of_logits([0] * 3, [[1] * 4] * 3)
    counts = counts_of(one, schema, "rows")
    counts[name] = np.array([value], object)
    assert set(figures(schema, counts).absent.values()) == {IMPOSSIBLE}


def classified():
    """A test's counts of 5 rows, of which 4 are right."""
    logits = [[2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [0.0, 2.0, 0.0]]
    part = Part(np.array(logits, dtype=np.float32), np.array([0, 0, 1, 2, 2]), 3)
    found = evaluate(torch.nn.Identity(), part, torch.device("cpu"), is_test=True)
    return counts_of(found, THREE, "rows") | coarsen_details(found.beside, 1)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [("confusion", 1, 3), ("confusion", 4, 0), ("reliability", 0, 9), ("reliability", 44, 9 << 20)],
)
def test_details_of_other_rows_than_the_figures_are_absent(name, place, value):
    counts = classified()
    assert details(THREE, counts)[0]["confusion"] == [[2, 0, 0], [0, 1, 0], [0, 1, 1]]
    counts[name] = counts[name].copy()
    counts[name][place] = value
    found, reasons = details(THREE, counts)
    assert found["confusion"] is None
    assert reasons["confusion"] == IMPOSSIBLE


def test_labels_of_more_rows_than_there_are_leave_no_figure():
    counts = classified()
    counts["labels"] = counts["labels"] + 1
    assert figures(THREE, counts).absent["accuracy"] == IMPOSSIBLE
