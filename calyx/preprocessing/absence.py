"""What became of values that are not there, or of which nothing was learnt: in words, for people.

Absence is coded as nothing in particular: no category, the middle of a range. Whatever else stands in
its place (a median, the commonest category) is said.

Shapes: N rows, C columns.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Table, present_values
from calyx.preprocessing.fitted import Fitted
from calyx.preprocessing.imputation import unknown_category
from calyx.preprocessing.spread import NOISE

NO_CATEGORY = {"categorical": "no category (zeros)", "ordinal": "the middle of its ranks"}
_NUMBERS = {
    "median": "the median of the training rows",
    "mode": "the most frequent value of the training rows",
    "constant": "preprocessing.fill_value",
}


def stand_in(fitted: Fitted, place: int, train: Table) -> str | None:
    """What a missing value of the column at `place` became; None where it stays missing.

    `train` are the rows that it was fitted on. None also before all clients' constants are known.
    """
    column, fill, cfg = fitted.schema.columns[place], float(fitted.fill[place]), fitted.cfg
    if np.isnan(fill) or (cfg.is_federated and cfg.fitted is None):
        return None
    if column.categories:
        is_one = fill in column.categories and fill != unknown_category(column)
        word = f"{column.word(fill)}, the most frequent one" if is_one else ""
        return word or NO_CATEGORY[column.kind]
    if cfg.is_federated:
        return "the same number at all clients"
    if cfg.numeric_imputation == "constant" or len(present_values(train.x[:, place], column)):
        return _NUMBERS[cfg.numeric_imputation]
    if column.low is None or column.high is None:
        return "the same number in all rows, which says nothing"
    return "the middle of the declared range"


def unread(fitted: Fitted, x: NDArray[np.float64]) -> Iterator[tuple[Column, int]]:
    """Columns of which rows of `x` [N, C] have a value that says nothing to a model, and how many rows.

    The training part had no two different values, and the schema declares no range: nothing tells how
    much a difference means, so that all are read as one.
    """
    for i in np.flatnonzero(~np.isfinite(fitted.scale)).tolist():
        column, mean = fitted.schema.columns[i], float(fitted.mean[i])
        off = np.abs(present_values(x[:, i], column) - mean)
        count = int((off > NOISE * abs(mean)).sum())
        if count:
            yield column, count


def unread_sentence(column: Column, count: int) -> str:
    """A sentence on the values that `unread` has found, with what to do about it."""
    return (
        f"{count} {'row has a value' if count == 1 else 'rows have values'} of {column.name} that the "
        "model is not told: the training part has no two different ones, and no range of it is "
        "declared. Give its low and high in the schema."
    )
