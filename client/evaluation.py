"""A model's loss and what else it is judged by, on some rows, computed in this process."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calyx.calibration import reliability
from calyx.metrics import RELIABILITY_BINS, Evaluation, confusion_matrix
from calyx.seeding import global_scope
from client.data import Part

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

BATCH_ROWS = 4096


def loss_of(output: "Tensor", y: "Tensor", reduction: str = "mean") -> "Tensor":
    """Cross-entropy of logits [B, K] and classes [B], in nats; or squared error of [B, 1] and [B]."""
    from torch.nn import functional

    if y.dtype.is_floating_point:
        return functional.mse_loss(output.squeeze(-1), y, reduction=reduction)
    return functional.cross_entropy(output, y, reduction=reduction)


@global_scope(0, "evaluation")  # a model that draws is judged by the same draws each time
def evaluate(
    model: "nn.Module", part: Part, device: "torch.device", *, is_test: bool = False
) -> Evaluation:
    """What `calyx.metrics` judges a model by; zero rows give means of 0 and no counts.

    A test of a classifier also counts how sure it was.
    """
    import torch

    loss_sum, outputs, sure = 0.0, [], [np.zeros(0)]
    model.eval()
    with torch.no_grad():
        for start in range(0, len(part), BATCH_ROWS):
            x = torch.from_numpy(part.x[start : start + BATCH_ROWS]).to(device)
            y = torch.from_numpy(part.y[start : start + BATCH_ROWS]).to(device)
            output = model(x)
            loss_sum += float(loss_of(output, y, "sum"))
            found = output.argmax(dim=1) if part.num_classes else output.squeeze(-1)
            outputs.append(found.cpu().numpy())
            if is_test and part.num_classes:
                most = output.double().softmax(dim=1).amax(dim=1)
                sure.append(np.nan_to_num(most.cpu().numpy()))
    loss = loss_sum / max(1, len(part))
    predicted = np.concatenate(outputs) if outputs else part.y
    if part.num_classes:
        confusion = confusion_matrix(part.y, predicted, part.num_classes)
        counts = {"confusion": confusion.reshape(-1)}
        if is_test:
            confidence = np.minimum(np.concatenate(sure), 1.0)
            counts["reliability"] = reliability(confidence, predicted == part.y, RELIABILITY_BINS)
        return Evaluation(len(part), {"loss": loss}, counts)
    return Evaluation(len(part), {"loss": loss} | _of_values(part.y, predicted))


def _of_values(true: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    """Means over rows, both [N] in units of the target's scale."""
    if not len(true):
        return dict.fromkeys(("absolute_error", "target_mean", "target_square"), 0.0)
    y = true.astype(np.float64)
    return {
        "absolute_error": float(np.abs(predicted - y).mean()),
        "target_mean": float(y.mean()),
        "target_square": float((y**2).mean()),
    }
