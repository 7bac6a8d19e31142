"""Labels that disagree with the rows they stand beside: a model that has not seen them says other.

In the spirit of confident learning (Northcutt, Jiang, Chuang 2021, arXiv:1911.00068): out-of-sample
probabilities, and only what the model is sure of. Wrong labels and rows that cannot tell their
class look alike to any such check; a site knows which it may be.

Shapes: N rows, F features, K classes.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema, Table
from calyx.inspection.finding import LocalFinding
from calyx.seeding import rng

Values = NDArray[np.float64]

MIN_ROWS = 40
MAX_ROWS = 2000  # drawn from a larger table: enough to tell 15 % from 10 %
_REPEATS, _FOLDS = 3, 5
_SURE = 0.5  # share of the rows that the model is surest of
_TOLERATED = 0.10  # share of these that may be contradicted in sound data
_CHANCE = 0.02  # how unlikely more must be
_HOPELESS = 0.8  # of a blind guess's error: a model with more than that has nothing to say


def label_findings(table: Table, schema: Schema) -> Iterator[LocalFinding]:
    """One finding, where significantly more than a tenth of the sure answers contradict a label.

    A regression, an index column alone or fewer than MIN_ROWS rows give none.
    """
    if schema.target is not None or len(table) < MIN_ROWS:
        return
    if len(table) > MAX_ROWS:
        chosen = rng(0, "label-sample").choice(len(table), MAX_ROWS, replace=False)
        table = table.take(np.sort(chosen))
    x = features(table, schema)
    present = len(np.unique(table.y))
    if x.shape[1] == 0 or present < 2:
        return
    probabilities = out_of_sample(x, table, len(schema.classes))
    wrong = probabilities.argmax(axis=1) != table.y
    if wrong.mean() > _HOPELESS * (1 - 1 / present):
        return
    two = np.sort(probabilities, axis=1)[:, -2:]
    order = np.argsort(two[:, 0] - two[:, 1], kind="stable")
    sure = order[: int(_SURE * len(table))]
    count = int(wrong[sure].sum())
    if is_beyond(count, len(sure), _TOLERATED, _CHANCE):
        message = (
            f"{count} of the {len(sure)} labels that a model is surest of are not what it says: "
            "about as many of all labels may be wrong, or the columns cannot tell the classes apart."
        )
        yield LocalFinding("labels", "warning", None, count, message)


def out_of_sample(x: Values, table: Table, classes: int) -> Values:
    """Probabilities [N, K] of logistic regression for rows that it was not fitted on.

    The mean of three cross-validations with five folds; rows of one block share a fold.
    """
    blocks = np.arange(len(table)) if table.blocks is None else table.blocks
    distinct = np.unique(blocks)
    total = np.zeros((len(table), classes))
    for repeat in range(_REPEATS):
        shuffled = rng(0, "label-folds", repeat).permutation(distinct)
        for part in np.array_split(shuffled, _FOLDS):
            inside = np.isin(blocks, part)
            known = np.unique(table.y[~inside])
            if len(known) == 1:
                total[inside, known[0]] += 1 / _REPEATS
            elif len(known) > 1 and inside.any():
                answers = _model().fit(x[~inside], table.y[~inside]).predict_proba(x[inside])
                total[np.ix_(inside, known)] += answers / _REPEATS
    return total


def features(table: Table, schema: Schema) -> Values:
    """Inputs [N, F] of a linear model: scaled numbers, categories, and what is missing."""
    parts: list[Values] = []
    for i, column in enumerate(schema.columns):
        if column.kind == "text":
            continue
        values = np.where(np.isin(table.x[:, i], column.missing_codes), np.nan, table.x[:, i])
        missing = np.isnan(values)
        if missing.all():
            continue
        if column.kind == "categorical":
            coded = [(values == category).astype(np.float64) for category in column.categories]
            parts += [code - code.mean() for code in coded]
        else:
            filled = np.where(missing, np.median(values[~missing]), values)
            scale = filled.std()
            # Cut, so that one outlier does not decide what the model is sure of.
            parts.append(np.clip((filled - filled.mean()) / (scale if scale > 0 else 1), -5, 5))
        if missing.any():
            parts.append(missing - missing.mean())
    return np.stack(parts, axis=1) if parts else np.empty((len(table), 0))


def _model() -> Any:  # noqa: ANN401 - scikit-learn ships no types
    from sklearn.linear_model import LogisticRegression

    # Strongly regularised: a fit to wrong labels must not be sure of them.
    return LogisticRegression(C=0.1, max_iter=500)


def is_beyond(count: int, of: int, chance: float, unlikely: float) -> bool:
    """Whether so many `of` some, each with a `chance`, are less likely than `unlikely`: the binomial tail."""
    from scipy.special import bdtrc

    return bool(bdtrc(count - 1, of, chance) < unlikely) if count else False
