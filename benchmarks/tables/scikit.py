"""scikit-learn on the very rows of a run: it trains on the training rows of all clients together.

No key is tuned. The validation rows say when the network stops, as they do in a run; the test rows
are looked at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.tables.rows import Numbers, Prepared, RunRows, missing_as_nan

HIDDEN = 32  # as task=csv's
EPOCHS = 300
PATIENCE = 20  # epochs without a better loss of the validation rows
STARTS = 3  # networks, whose mean counts


@dataclass(frozen=True)
class Scores:
    """Accuracy, or R², on the test rows."""

    linear: float  # LogisticRegression, or Ridge
    network: float  # an MLP of 32 units
    trees: float  # histogram gradient boosting
    commonest: float | None  # the class that most training rows have


def scores(rows: RunRows) -> Scores:
    """What scikit-learn makes of a run's rows."""
    train, validation, test = (rows.parts[part] for part in ("train", "validation", "test"))
    prepared = Prepared.of(train.x, rows.schema)
    x = [prepared.apply(part.x) for part in (train, validation, test)]
    if rows.schema.target is None:
        y = [part.y for part in (train, validation, test)]
        linear = LogisticRegression(max_iter=5000).fit(x[0], y[0]).predict(x[2])
        common = np.full(len(test), np.bincount(train.y).argmax())
    else:
        center, scale = train.y.mean(), train.y.std() or 1.0
        y = [(part.y - center) / scale for part in (train, validation, test)]
        linear = Ridge().fit(x[0], y[0]).predict(x[2])
        common = None
    judge: Callable[..., float] = accuracy_score if rows.schema.target is None else r2_score
    networks = [
        judge(y[2], _network(x, y, start, rows.schema.num_outputs)) for start in range(STARTS)
    ]
    return Scores(
        linear=float(judge(y[2], linear)),
        network=float(np.mean(networks)),
        trees=float(judge(y[2], _trees(rows, y[0]))),
        commonest=None if common is None else float(judge(y[2], common)),
    )


def _network(
    x: list[Numbers], y: list[NDArray[np.float64]], start: int, outputs: int
) -> NDArray[np.float64]:
    """Predictions of the test rows, of the epoch with the least loss of the validation rows."""
    kind = MLPClassifier if outputs > 1 else MLPRegressor
    model = kind(hidden_layer_sizes=(HIDDEN,), random_state=start)
    classes = np.arange(outputs)
    best, since, predicted = np.inf, 0, y[2]
    for _ in range(EPOCHS):
        if outputs > 1:
            model.partial_fit(x[0], y[0], classes=classes)
            loss = log_loss(y[1], model.predict_proba(x[1]), labels=classes)
        else:
            model.partial_fit(x[0], y[0])
            loss = mean_squared_error(y[1], model.predict(x[1]))
        since += 1
        if loss < best:
            best, since, predicted = loss, 0, model.predict(x[2])
        if since >= PATIENCE:
            break
    return predicted


def _trees(rows: RunRows, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predictions of the test rows by trees, which take holes and categories as they are."""
    named = [column.kind == "categorical" for column in rows.schema.columns]
    is_number = rows.schema.target is not None
    kind = HistGradientBoostingRegressor if is_number else HistGradientBoostingClassifier
    model = kind(categorical_features=named, random_state=0)
    train, test = (missing_as_nan(rows.parts[p].x, rows.schema) for p in ("train", "test"))
    predicted: NDArray[np.float64] = model.fit(train, y).predict(test)
    return predicted
