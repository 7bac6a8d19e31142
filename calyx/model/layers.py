"""What is known of PyTorch's own layers: which draw no random numbers, and which take each row by itself.

What is known of them need not be tried or guarded, which costs a small model as much as a step of its
training. Of any other module, and of one with a hook or a `forward` of its own, nothing is known.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from calyx.seeding import global_scope

if TYPE_CHECKING:
    from torch import nn

# Layers whose output for a row follows from that row and the weights, whatever the other rows are.
_ROW_BY_ROW = frozenset(
    (
        *("Sequential", "Identity", "Flatten", "Unflatten", "Linear", "Bilinear", "LayerNorm"),
        *("Conv1d", "Conv2d", "Conv3d", "MaxPool1d", "MaxPool2d", "MaxPool3d"),
        *("AvgPool1d", "AvgPool2d", "AvgPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d"),
        *("ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Hardswish"),
        *("Tanh", "Sigmoid", "Softplus", "Softsign", "Hardtanh", "LogSigmoid", "Tanhshrink"),
    )
)
_STEADY = _ROW_BY_ROW | {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm2d"}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def draws_nothing(model: "nn.Module") -> bool:
    """Whether it is certain that computing with `model` draws from no generator, in no mode."""
    return _are_all(model, _STEADY)


def takes_rows_apart(model: "nn.Module") -> bool:
    """Whether it is certain that each row's output [K] of `model` depends on that row alone."""
    return _are_all(model, _ROW_BY_ROW) and all(
        getattr(module, "start_dim", getattr(module, "dim", 1)) == 1 for module in model.modules()
    )


def seeded(
    model: "nn.Module", seed: int, purpose: str, round: int = 0, client: str = ""
) -> AbstractContextManager[None]:
    """A `global_scope` for computing with `model`; an empty one where that certainly draws nothing."""
    if draws_nothing(model):
        return nullcontext()
    return global_scope(seed, purpose, round, client)


def _are_all(model: "nn.Module", names: frozenset[str]) -> bool:
    from torch import nn
    from torch.nn.modules import module as torch_module

    if torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks:
        return False
    for module in model.modules():
        own = vars(module)
        # A type of one's own is none of these, even if it has the name of one.
        if getattr(nn, type(module).__name__, None) is not type(module):
            return False
        if type(module).__name__ not in names or "forward" in own:
            return False
        if any(own[hooks] for hooks in _HOOKS):
            return False
    return True
