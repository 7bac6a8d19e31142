"""Counts and sums, which add up over clients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from calyx.metrics import Evaluation, confusion_matrix

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50)


@given(LABELS)
def test_the_confusion_matrix_is_scikit_learns(pairs):
    true, predicted = np.array(pairs).T
    ours = confusion_matrix(true, predicted, 4)
    assert ours.tolist() == metrics.confusion_matrix(true, predicted, labels=range(4)).tolist()
    assert Evaluation(0.0, ours).accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
