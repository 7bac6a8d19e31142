"""A model's loss and what else it is judged by, on some rows, computed in this process.

Outputs are float32, as the model gives them; all that follows is float64 and exact sums.

Shapes: B rows of a batch, N rows, K classes.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Part
from calyx.model.calibration import reliability
from calyx.model.details import RELIABILITY_BINS, confusion_matrix
from calyx.model.layers import seeded
from calyx.model.metrics import Evaluation
from calyx.vector.exact import FLOAT_STEPS, SQUARE_STEPS, exact_square_sum, exact_sum, to_cell

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

BATCH_ROWS = 4096
_BEYOND = 2.0**128  # no float32 is as great
Values = NDArray[np.float64]


def loss_of(output: "Tensor", y: "Tensor", reduction: str = "mean") -> "Tensor":
    """Cross-entropy of logits [B, K] and classes [B], in nats; or squared error of [B, 1] and [B]."""
    from torch.nn import functional

    if y.dtype.is_floating_point:
        return functional.mse_loss(output.squeeze(-1), y, reduction=reduction)
    return functional.cross_entropy(output, y, reduction=reduction)


def evaluate(
    model: "nn.Module", part: Part, device: "torch.device", *, is_test: bool = False
) -> Evaluation:
    """Compute the sums that `calyx.model.metrics` judges a model by; without rows they are 0.

    A test of a classifier also counts which classes it took for which, and how sure it was.
    """
    import torch

    batches = []
    model.eval()
    # A model that draws is judged by the same draws each time.
    with torch.no_grad(), seeded(model, 0, "evaluation"):
        for start in range(0, len(part), BATCH_ROWS):
            # A copy: a model may write into its input, and these rows are judged again.
            x = torch.tensor(part.x[start : start + BATCH_ROWS], device=device)
            output = model(x).double().cpu().numpy()
            y = part.y[start : start + BATCH_ROWS]
            batches.append(_judge_classes(output, y) if part.num_classes else output.reshape(-1))
    if not part.num_classes:
        exact = part.y.astype(np.float64) if part.exact is None else part.exact
        return _of_values(exact, np.concatenate([np.zeros(0), *batches]))
    return _of_classes(part, np.concatenate([np.zeros((0, 4)), *batches]), is_test=is_test)


def _judge_classes(logits: Values, y: NDArray[np.int64]) -> Values:
    """Of each row [B, 4]: whether its logits [B, K] are finite, class, loss in nats, confidence."""
    is_finite: NDArray[np.bool_] = np.all(np.abs(logits) < _BEYOND, axis=1)
    safe = np.where(is_finite[:, None], logits, 0.0)
    best = safe.argmax(axis=1)
    sure = 1 / np.exp(safe - safe.max(axis=1, keepdims=True)).sum(axis=1)
    return np.column_stack([is_finite, best, cross_entropy(safe, y), sure])


def cross_entropy(logits: Values, y: NDArray[np.int64]) -> Values:
    """log(1 + Σ exp(logit - own)) over the other classes, in nats: [B] of finite logits [B, K].

    In this form a row of which the model is sure keeps its digits: 1e-20 is not 0.
    """
    rows = np.arange(len(y))
    apart = logits - logits[rows, y][:, None]
    apart[rows, y] = -np.inf
    most = apart.max(axis=1, initial=-_BEYOND)
    with np.errstate(divide="ignore", under="ignore"):
        others = most + np.log(np.exp(apart - most[:, None]).sum(axis=1))
    loss: Values = np.logaddexp(0.0, others)
    return loss


def _of_classes(part: Part, rows: Values, *, is_test: bool) -> Evaluation:
    is_finite = rows[:, 0] > 0
    true, predicted = part.y[is_finite], rows[is_finite, 1].astype(np.int64)
    sums = {
        "loss": _cell(exact_sum(rows[is_finite, 2], FLOAT_STEPS)),
        "labels": np.bincount(part.y, minlength=part.num_classes),
        "hits": _cell(int((predicted == true).sum())),
    }
    beside = {}
    if is_test:
        beside["confusion"] = confusion_matrix(true, predicted, part.num_classes).reshape(-1)
        sure = reliability(np.minimum(rows[is_finite, 3], 1.0), predicted == true, RELIABILITY_BINS)
        beside["reliability"] = sure.reshape(-1)
    return Evaluation(len(part), int((~is_finite).sum()), sums, beside)


def _of_values(true: Values, predicted: Values) -> Evaluation:
    """Of a regression's targets and outputs, both [N] in units of the target's scale."""
    told = np.abs(true) < _BEYOND
    is_finite = told & (np.abs(predicted) < _BEYOND)
    # On the sums' own grid, so that sums and sums of squares are of the same numbers.
    t = np.ldexp(np.rint(np.ldexp(np.where(told, true, 0.0), FLOAT_STEPS)), -FLOAT_STEPS)
    error = (predicted - t)[is_finite] if len(t) else t
    sums = {
        "square_error": _cell(exact_square_sum(error, SQUARE_STEPS)),
        "absolute_error": _cell(exact_sum(np.abs(error), FLOAT_STEPS)),
        "target": _cell(*to_cell(exact_sum(t, FLOAT_STEPS))),
        "target_square": _cell(exact_square_sum(t, SQUARE_STEPS)),
    }
    return Evaluation(len(true), int((~is_finite).sum()), sums)


def _cell(*values: int) -> NDArray[Any]:
    return np.array(values, dtype=object)
