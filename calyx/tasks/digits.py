"""digits: scikit-learn's 1,797 handwritten digits of 8×8 pixels, spread unevenly over clients.

The data is in scikit-learn's own package: nothing is downloaded. Origin: Alpaydin and Kaynak 1998,
UCI Machine Learning Repository, doi:10.24432/C50P49.
"""

from functools import lru_cache
from importlib.metadata import distribution
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from calyx.data.schema import Column, Schema, Table
from calyx.tasks.partitioned import PartitionedTask

if TYPE_CHECKING:
    from torch import nn

_ROWS = 1797
_HIDDEN = 64


class Digits(PartitionedTask):
    """The default task: ten classes, 64 pixels of 0 (paper) to 1 (ink), an MLP with one hidden layer."""

    name = "digits"
    source = "scikit-learn"
    num_rows = _ROWS
    schema = Schema(
        columns=tuple(
            Column(f"pixel_{row}_{column}", "image", low=0, high=1)
            for row in range(8)
            for column in range(8)
        ),
        classes=tuple("0123456789"),
    )

    @staticmethod
    @override
    def labels() -> NDArray[np.int64]:
        labels: NDArray[np.int64] = _digits().y
        return labels

    @staticmethod
    @override
    def take(rows: NDArray[np.int64]) -> Table:
        return _digits().take(rows)

    def model(self, num_inputs: int) -> "nn.Module":
        """MLP: inputs → 64, ReLU → 10 logits."""
        from torch import nn

        return nn.Sequential(
            nn.Linear(num_inputs, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, len(self.schema.classes)),
        )


@lru_cache(maxsize=1)
def _digits() -> Table:
    # What `sklearn.datasets.load_digits` reads. Its own import takes a second of every start.
    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    rows = np.loadtxt(str(file), delimiter=",")
    return Table(rows[:, :-1] / 16.0, rows[:, -1].astype(np.int64))
