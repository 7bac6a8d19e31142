"""Metrics as counts and sums, which add up over clients; never means of clients' scores.

A classifier is judged by its confusion matrix, a regression by four means over rows. Regression
works on the target in units of its scale, and its figures are in the target's own unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.calibration import expected_calibration_error
from calyx.secagg.vector import Count, Metric
from calyx.tasks.base import Schema

LOSS_MAX = 2.0**258  # twice the greatest float32, squared
# Mean loss of a client's rows: cross-entropy in nats, or squared error in units of the target's scale.
LOSS = Metric("loss", 0.0, LOSS_MAX)
CLIPPED = Count("clipped", 1)  # coordinates of an update that were cut to ±clip
CAPPED = Count("capped", 1, 1)  # clients that count as fewer training rows than they have
SCORE_STEPS = 2**20  # fixed-point steps of a client's score, which is cut to 0 … 1
SCORE_BINS = 20
RELIABILITY_BINS = 15  # of a classifier's confidence
EVALUATION_W_MAX = 2**20  # rows of one client that count in a mean loss
PERSONAL = "personal_"  # how the names begin of what a client's own model is judged by
_ABSOLUTE = Metric("absolute_error", 0.0, LOSS_MAX**0.5)
_MEAN = Metric("target_mean", -(LOSS_MAX**0.5), LOSS_MAX**0.5)
_SQUARE = Metric("target_square", 0.0, LOSS_MAX)

Counts = Mapping[str, NDArray[np.int64]]
Means = Mapping[str, float]


def evaluation_terms(
    schema: Schema, prefix: str = ""
) -> tuple[tuple[Metric, ...], tuple[Count, ...]]:
    """What an evaluation of a task sends: means weighted by rows, and counts."""
    metrics: tuple[Metric, ...] = (LOSS,)
    counts: tuple[Count, ...] = ()
    if schema.target is None:
        # The confusion matrix, flattened: row = true class, column = predicted class.
        counts = (Count(f"{prefix}confusion", len(schema.classes) ** 2),)
    else:
        metrics += (_ABSOLUTE, _MEAN, _SQUARE)
    named = (Metric(f"{prefix}{m.name}", m.low, m.high) for m in metrics)
    return tuple(named), counts


def test_terms(schema: Schema) -> tuple[Count, ...]:
    """What a test sends beside it: how the score differs between clients, and how sure models are."""
    spread = (Count("clients", 1), Count("scores", 2, SCORE_STEPS), Count("score_bins", SCORE_BINS))
    if schema.target is not None:
        return spread
    return (*spread, Count("reliability", 3 * RELIABILITY_BINS, 2**44))


def spread_counts(score: float, num_examples: int) -> dict[str, NDArray[np.int64]]:
    """One client's counts of `test_terms`; nothing of a client without rows."""
    has_rows = int(num_examples > 0)
    share = min(max(score, 0.0), 1.0)
    bins = np.zeros(SCORE_BINS, dtype=np.int64)
    bins[min(int(share * SCORE_BINS), SCORE_BINS - 1)] = has_rows
    scores = np.rint(np.array([share, share**2]) * SCORE_STEPS * has_rows).astype(np.int64)
    return {"clients": np.array([has_rows]), "scores": scores, "score_bins": bins}


def client_spread(counts: Counts) -> dict[str, float | None]:
    """Mean and sd of the clients' own scores, and the worst tenth's bound, to one bin of 0.05."""
    clients = int(counts["clients"][0])
    if clients == 0:
        return {"client_mean": None, "client_sd": None, "client_worst_decile": None}
    mean, square = (float(n) / SCORE_STEPS / clients for n in counts["scores"])
    reached = np.searchsorted(np.cumsum(counts["score_bins"]), 0.1 * clients)
    return {
        "client_mean": mean,
        "client_sd": max(0.0, square - mean**2) ** 0.5,
        "client_worst_decile": float(reached + 1) / SCORE_BINS,
    }


def metric_name(schema: Schema) -> str:
    """The figure by which models of a task are compared; larger is better."""
    return "accuracy" if schema.target is None else "r2"


@dataclass(frozen=True)
class Evaluation:
    """A model on some rows: `means` over them and `counts`, by the names of `evaluation_terms`."""

    num_examples: int
    means: dict[str, float]
    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The mean loss."""
        return self.means["loss"]

    @property
    def score(self) -> float:
        """Accuracy, or R²; 0.0 where it cannot be told."""
        if self.counts:
            return accuracy_of(self.counts["confusion"])
        return _r2(self.means) or 0.0


def figures(
    schema: Schema, means: Means, counts: Counts, prefix: str = ""
) -> dict[str, float | None]:
    """What is reported of an evaluation, by name; None where it cannot be told."""
    loss = means[f"{prefix}loss"]
    if schema.target is None:
        return {"loss": loss, "accuracy": accuracy_of(counts[f"{prefix}confusion"])}
    scale = schema.target.scale
    return {
        "loss": loss,
        "r2": _r2({name.removeprefix(prefix): value for name, value in means.items()}),
        "rmse": loss**0.5 * scale,
        "mae": means[f"{prefix}absolute_error"] * scale,
    }


def _r2(means: Means) -> float | None:
    variance = means["target_square"] - means["target_mean"] ** 2
    return 1 - means["loss"] / variance if variance > 1e-9 else None


def details(schema: Schema, counts: Counts) -> dict[str, Any]:
    """What else is kept of a test, as JSON values: a classifier's calibration and confusion matrix."""
    if schema.target is not None:
        return {}
    sure = counts["reliability"].reshape(3, -1)
    error = expected_calibration_error(sure) if sure[0].any() else None
    return {
        "calibration_error": error,
        "confusion": counts["confusion"].reshape(len(schema.classes), -1).tolist(),
    }


def accuracy_of(confusion: NDArray[np.int64]) -> float:
    """Share of a confusion matrix, [K, K] or flattened, on its diagonal; 0.0 without rows."""
    size = round(confusion.size**0.5)
    return int(np.trace(confusion.reshape(size, size))) / max(1, int(confusion.sum()))


def confusion_matrix(
    true: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Counts [K, K] of rows by (true, predicted) class, both [N] in 0 … K-1."""
    cells = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)
