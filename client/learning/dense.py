"""Gradients of a stack of linear layers by hand: the kernels that autograd would call, without its graph.

Of a small model the graph takes a third of a step. The numbers are the same to the last bit, since the
same kernels see the same operands (tested against autograd). Of every other model, and on a GPU,
`read_stack` is None, and autograd computes.

Shapes: B rows of a batch, F inputs and H outputs of a layer, K outputs of the model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from calyx.model.layers import draws_nothing

_aten = torch.ops.aten
_MEAN, _NO_CLASS = (
    1,
    -100,
)  # PyTorch's own: a mean over rows, and the class of rows that do not count


@dataclass(frozen=True)
class Linear:
    """Outputs x·weightᵀ + bias of x [B, F]."""

    weight: Tensor  # [H, F], detached
    bias: Tensor | None  # [H], detached


@dataclass(frozen=True)
class Activation:
    """A function of each number by itself, and the gradient before it of that behind it and its outputs."""

    run: Callable[[Tensor], Tensor]
    back: Callable[[Tensor, Tensor], Tensor]


Layer = Linear | Activation
_ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(torch.relu, lambda g, out: _aten.threshold_backward(g, out, 0)),
    nn.Tanh: Activation(torch.tanh, _aten.tanh_backward),
    nn.Sigmoid: Activation(torch.sigmoid, _aten.sigmoid_backward),
}


@dataclass(frozen=True)
class Stack:
    """Layers, one after the other; the tensors of the linear ones are the model's parameters, in order."""

    layers: tuple[Layer, ...]

    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The mean loss of rows [B, F] with classes or targets [B], and of it each parameter's gradient."""
        outputs = [x]  # of each layer, after what goes in
        for layer in self.layers:
            outputs.append(_run(layer, outputs[-1]))
        loss, gradient = _loss_of(outputs[-1], y)
        gradients: list[Tensor] = []
        for number in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[number]
            if isinstance(layer, Activation):
                gradient = layer.back(gradient, outputs[number + 1])
                continue
            if layer.bias is not None:
                gradients.append(gradient.sum(0))
            gradients.append(gradient.t().mm(outputs[number]))
            if number:  # of the rows themselves nobody asks
                gradient = gradient.mm(layer.weight)
        return loss, gradients[::-1]


def read_stack(model: nn.Module, device: str = "cpu") -> Stack | None:
    """The layers of a model that is such a stack, on `device`, all of it trained; None of any other."""
    if not draws_nothing(model):  # which knows all of its layers
        return None
    layers: list[Layer] = []
    tensors: list[Tensor] = []
    for module in _walk(model):
        if isinstance(module, nn.Linear):
            tensors += (own := list(module.parameters()))
            layers.append(Linear(own[0].detach(), own[1].detach() if len(own) > 1 else None))
        elif type(module) in _ACTIVATIONS:
            layers.append(_ACTIVATIONS[type(module)])
        elif not (isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1)):
            return None
    parameters = list(model.parameters())  # each once: a layer that stands twice is no plain stack
    if (
        not tensors
        or len(tensors) != len(parameters)
        or not all(_is_plain(one, device) for one in tensors)
    ):
        return None
    return Stack(tuple(layers))


def _walk(module: nn.Module) -> Iterator[nn.Module]:
    """The layers in the order in which they compute."""
    if not isinstance(module, nn.Sequential):
        yield module
        return
    for child in module:
        yield from _walk(child)


def _is_plain(tensor: Tensor, device: str) -> bool:
    is_here = tensor.dtype is torch.float32 and tensor.device.type == device
    is_trained = tensor.requires_grad and tensor.is_contiguous()
    # Of a layer with one input autograd takes the transposed product, which may round otherwise.
    return is_here and is_trained and (tensor.dim() == 1 or tensor.shape[1] > 1)


def _run(layer: Layer, x: Tensor) -> Tensor:
    if isinstance(layer, Activation):
        return layer.run(x)
    if layer.bias is None:
        return x.mm(layer.weight.t())
    return torch.addmm(layer.bias, x, layer.weight.t())


def _loss_of(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """As `calyx.model.evaluation.loss_of`: the mean loss of outputs [B, K], and its gradient [B, K]."""
    one = torch.ones(())
    if y.dtype.is_floating_point:
        values = outputs.squeeze(-1)
        gradient = _aten.mse_loss_backward(one, values, y, _MEAN)
        return functional.mse_loss(values, y), gradient.unsqueeze(-1)
    logs = torch.log_softmax(outputs, 1)
    loss, weight = _aten.nll_loss_forward(logs, y, None, _MEAN, _NO_CLASS)
    gradient = _aten.nll_loss_backward(one, logs, y, None, _MEAN, _NO_CLASS, weight)
    return loss, _aten._log_softmax_backward_data(gradient, logs, 1, torch.float32)
