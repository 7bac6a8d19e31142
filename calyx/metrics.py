"""Metrics as counts and sums, which add up over clients; never means of clients' scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.secagg.vector import Count, Metric

LOSS = Metric(
    "loss", 0.0, 64.0
)  # mean cross-entropy of a client's rows, in nats; cut to this range
CLIPPED = Count("clipped", 1)  # coordinates of an update that were cut to ±clip
EVALUATION_W_MAX = 2**20  # rows of one client that count in a mean loss


def confusion_count(num_classes: int) -> Count:
    """The confusion matrix, flattened: row = true class, column = predicted class."""
    return Count("confusion", num_classes**2)


@dataclass(frozen=True)
class Evaluation:
    """A model on some rows: `loss` is the mean, `confusion` [K, K] counts rows by (true, predicted)."""

    loss: float
    confusion: NDArray[np.int64]

    @property
    def num_examples(self) -> int:
        """Rows evaluated."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of rows on the diagonal; 0.0 without rows."""
        return int(np.trace(self.confusion)) / max(1, self.num_examples)


def confusion_matrix(
    true: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Counts [K, K] of rows by (true, predicted) class, both [N] in 0 … K-1."""
    cells = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)
