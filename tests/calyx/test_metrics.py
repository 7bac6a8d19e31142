"""Counts and sums, which add up over clients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from calyx.metrics import Evaluation, confusion_matrix, pool

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50)


@given(LABELS)
def test_the_confusion_matrix_is_scikit_learns(pairs):
    true, predicted = np.array(pairs).T
    ours = confusion_matrix(true, predicted, 4)
    assert ours.tolist() == metrics.confusion_matrix(true, predicted, labels=range(4)).tolist()
    assert Evaluation(0.0, ours).accuracy == pytest.approx(metrics.accuracy_score(true, predicted))


def test_pooled_evaluations_are_the_evaluation_of_the_union():
    parts = [Evaluation(1.0, np.diag([3, 0])), Evaluation(2.0, np.array([[0, 1], [0, 0]]))]
    union = pool(parts)
    assert (union.loss, union.num_examples, union.accuracy) == (1.25, 4, 0.75)
