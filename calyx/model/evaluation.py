"""A model's loss and what else it is judged by, on some rows, computed in this process.

Outputs are float32, as the model gives them; all that follows is float64 and exact sums.

Shapes: B rows of a batch, N rows, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Part
from calyx.model import conformal
from calyx.model.calibration import reliability
from calyx.model.details import RELIABILITY_BINS, confusion_matrix
from calyx.model.layers import seeded
from calyx.model.metrics import Evaluation
from calyx.model.weights import Array
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

    outputs: list[Values] = []
    judged: list[_Judged] = []
    model.eval()
    # A model that draws is judged by the same draws each time.
    with torch.no_grad(), seeded(model, 0, "evaluation"):
        for start in range(0, len(part), BATCH_ROWS):
            # A copy: a model may write into its input, and these rows are judged again.
            x = torch.tensor(part.x[start : start + BATCH_ROWS], device=device)
            output = model(x).double().cpu().numpy()
            if part.num_classes:
                y = part.y[start : start + BATCH_ROWS]
                judged.append(_judge_classes(output, y, is_test=is_test))
            else:
                outputs.append(output.reshape(-1))
    if part.num_classes:
        return _of_classes(part, judged, is_test=is_test)
    return _evaluation_of(np.concatenate([np.zeros(0), *outputs]), part, is_test=is_test)


def evaluate_together(
    model: "nn.Module", parts: Sequence[Part], device: "torch.device"
) -> list[Evaluation]:
    """`evaluate` of several clients' rows in common batches, which may round outputs otherwise."""
    every = compute_outputs(model, np.concatenate([part.x for part in parts]), device)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [
        evaluation_of(one, part) for one, part in zip(np.split(every, ends), parts, strict=True)
    ]


def compute_outputs(model: "nn.Module", rows: Array, device: "torch.device") -> Values:
    """The model's outputs [N, K] for its inputs `rows` [N, F]: logits, or values in scales."""
    import torch

    outputs: list[Values] = []
    model.eval()
    with torch.no_grad(), seeded(model, 0, "evaluation"):
        for start in range(0, len(rows), BATCH_ROWS):
            x = torch.tensor(rows[start : start + BATCH_ROWS], device=device)
            outputs.append(model(x).double().cpu().numpy())
    return np.concatenate(outputs) if outputs else np.zeros((0, 1))


def evaluation_of(outputs: Values, part: Part) -> Evaluation:
    """What a model is judged by, of its outputs [N, K] for the rows of `part`."""
    return _evaluation_of(outputs, part, is_test=False)


def _evaluation_of(outputs: Values, part: Part, *, is_test: bool) -> Evaluation:
    if part.num_classes:
        judged = [_judge_classes(outputs, part.y, is_test=is_test)] if len(part) else []
        return _of_classes(part, judged, is_test=is_test)
    exact = part.y.astype(np.float64) if part.exact is None else part.exact
    return _of_values(exact, outputs.reshape(-1), is_test=is_test)


@dataclass(frozen=True)
class _Judged:
    """Of the rows [B] of a classifier whose logits are finite: what is true, and what came out."""

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    loss: Values  # in nats
    confidence: Values  # of a test; else empty


def _judge_classes(logits: Values, y: NDArray[np.int64], *, is_test: bool) -> _Judged:
    """Of logits [B, K] and classes `y` [B]."""
    is_finite: NDArray[np.bool_] = np.all(np.abs(logits) < _BEYOND, axis=1)
    every = bool(is_finite.all())
    safe = logits if every else np.where(is_finite[:, None], logits, 0.0)
    best, loss, sure = safe.argmax(axis=1), cross_entropy(safe, y), np.zeros(len(y))
    if is_test:
        sure = 1 / np.exp(safe - safe.max(axis=1, keepdims=True)).sum(axis=1)
    if every:
        return _Judged(y, best, loss, sure)
    return _Judged(y[is_finite], best[is_finite], loss[is_finite], sure[is_finite])


def cross_entropy(logits: Values, y: NDArray[np.int64]) -> Values:
    """log(1 + Σ exp(logit - own)) over the other classes, in nats: [B] of finite logits [B, K].

    In this form a row of which the model is sure keeps its digits: 1e-20 is not 0.
    """
    if logits.shape[1] == 1:  # there is no other
        return np.zeros(len(y))
    rows = np.arange(len(y))
    apart = logits - logits[rows, y][:, None]
    apart[rows, y] = -np.inf
    most = apart.max(axis=1, initial=-_BEYOND)
    others = most + np.log(np.exp(apart - most[:, None]).sum(axis=1))
    loss: Values = np.logaddexp(0.0, others)
    return loss


def _of_classes(part: Part, judged: list[_Judged], *, is_test: bool) -> Evaluation:
    true = _join([one.true for one in judged])
    predicted = _join([one.predicted for one in judged])
    is_hit = predicted == true
    loss = _join([one.loss for one in judged])
    sums = {
        "loss": _cell(exact_sum(loss, FLOAT_STEPS)),
        "labels": np.bincount(part.y, minlength=part.num_classes),
        "hits": _cell(int(is_hit.sum())),
    }
    beside = {}
    if is_test:
        beside["confusion"] = confusion_matrix(true, predicted, part.num_classes).reshape(-1)
        sure = np.minimum(_join([one.confidence for one in judged]), 1.0)
        beside["reliability"] = reliability(sure, is_hit, RELIABILITY_BINS).reshape(-1)
        beyond = len(part) - len(true)
        beside[conformal.NAME] = conformal.count_probabilities(np.exp(-loss), beyond)
    return Evaluation(len(part), len(part) - len(true), sums, beside)


def _join(arrays: list[Array]) -> Array:
    """One after the other [N]; of none, an empty one."""
    return arrays[0] if len(arrays) == 1 else np.concatenate([np.zeros(0, np.int64), *arrays])


def _of_values(true: Values, predicted: Values, *, is_test: bool) -> Evaluation:
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
    beyond = int((~is_finite).sum())
    beside = {conformal.NAME: conformal.count_errors(np.abs(error), beyond)} if is_test else {}
    return Evaluation(len(true), beyond, sums, beside)


def _cell(*values: int) -> NDArray[Any]:
    return np.array(values, dtype=object)
