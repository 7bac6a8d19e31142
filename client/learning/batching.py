"""How many rows each batch of an epoch has: whether a client can train never hangs on a remainder.

Some models need two rows (batch normalisation, a spread over the batch, a `squeeze`). For them a
last batch of one row joins the one before. For all others it stays as it is (decision 0043).

Shapes: B rows of a batch, F inputs.
"""

import warnings
from copy import deepcopy

import torch
from torch import Tensor, nn

from calyx.machine.hardware import Hardware
from calyx.model.layers import takes_rows_apart
from calyx.seeding import global_scope
from strategies.local import Batch


def batch_sizes(num_rows: int, batch_size: int, *, is_joined: bool) -> list[int]:
    """Rows of each batch of an epoch over `num_rows` (> 0), in order.

    With `is_joined` a last batch of one row is part of the one before, where there is one.
    """
    whole, rest = divmod(num_rows, batch_size)
    sizes = [batch_size] * whole
    if rest == 1 and whole and is_joined:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def is_last_joined(
    model: nn.Module, x: Tensor, y: Tensor, batch_size: int, hardware: Hardware
) -> bool:
    """Whether a last batch of one row joins the one before: where `model` trains on two, not on one.

    `x` [N, F] and `y` [N] are all rows of the training, on the model's device. The model is left as
    it is; nothing is tried where no such batch would be.
    """
    if len(y) <= batch_size or len(y) % batch_size != 1 or takes_rows_apart(model):
        return False
    return not _trains(model, x[:1], y[:1], hardware) and _trains(model, x[:2], y[:2], hardware)


def _trains(model: nn.Module, x: Tensor, y: Tensor, hardware: Hardware) -> bool:
    """Whether a copy of `model` has a loss and gradients of these rows, all of them finite."""
    copy = deepcopy(model).train()
    trained = [p for p in copy.parameters() if p.requires_grad]
    try:
        with global_scope(0, "single-row"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what will not be done
            # A clone: a model may write into its input.
            loss = Batch(copy, {}, x.clone(), y, hardware.is_half).loss
            gradients = torch.autograd.grad(loss, trained, allow_unused=True)
    except Exception:  # noqa: BLE001 - whatever a model says of too few rows
        return False
    values = [loss, *(gradient for gradient in gradients if gradient is not None)]
    return all(bool(torch.isfinite(value).all()) for value in values)
