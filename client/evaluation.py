"""A model's loss and confusion matrix on some rows, computed in this process."""

from typing import TYPE_CHECKING

import numpy as np

from calyx.metrics import Evaluation, confusion_matrix
from client.data import Part

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH_ROWS = 4096


def evaluate(model: "nn.Module", part: Part, device: "torch.device") -> Evaluation:
    """Mean cross-entropy in nats and the confusion matrix; zero rows give loss 0 and no counts."""
    import torch
    from torch.nn import functional

    num_classes = part.num_classes
    loss_sum, confusion = 0.0, np.zeros((num_classes, num_classes), dtype=np.int64)
    model.eval()
    with torch.no_grad():
        for start in range(0, len(part), BATCH_ROWS):
            x = torch.from_numpy(part.x[start : start + BATCH_ROWS]).to(device)
            y = torch.from_numpy(part.y[start : start + BATCH_ROWS]).to(device)
            logits = model(x)
            loss_sum += float(functional.cross_entropy(logits, y, reduction="sum"))
            predicted = logits.argmax(dim=1).cpu().numpy()
            confusion += confusion_matrix(y.cpu().numpy(), predicted, num_classes)
    return Evaluation(loss_sum / max(1, len(part)), confusion)
