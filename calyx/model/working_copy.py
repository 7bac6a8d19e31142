"""One copy of a model that is trained and judged again and again, in place of a new copy each time.

Copying a small model takes longer than an epoch on it. A copy is lent again only where nothing has
changed in it but what loading weights overwrites: nothing else may pass from one client to the next.
That is not assumed of a model but compared each time; where it cannot be told, as of a model that
holds an object of its author's, each load makes a new copy. See docs/decisions/0074.
"""

from collections import OrderedDict
from collections.abc import Collection
from copy import deepcopy
from itertools import chain
from operator import is_
from types import BuiltinFunctionType, FunctionType
from typing import Any
from weakref import ReferenceType

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from calyx.model.weights import Weights, load_into

# What Python's deepcopy does not copy either, so that all copies of a model share it.
_ATOMS = frozenset(
    (int, float, complex, bool, str, bytes, type, type(None), range, torch.dtype, torch.device)
) | {FunctionType, BuiltinFunctionType, ReferenceType}
_CONTAINERS = frozenset((tuple, list, set, frozenset, torch.Size))
_TABLES = frozenset((dict, OrderedDict))


class WorkingCopy:
    """A copy of the model `fresh` on `device`, for one user at a time; `fresh` itself never changes."""

    def __init__(self, fresh: nn.Module, device: torch.device) -> None:
        self._fresh, self._device = fresh, device
        self._copy: _Traced | None = None
        self._source: Weights | None = None  # of which `_tensors` are copies
        self._tensors: list[Tensor] = []

    def load(self, weights: Weights) -> nn.Module:
        """The model with these weights; whoever was lent it before must be done with it.

        `weights` do not change afterwards: the same object is read once. Raises RuntimeError if names
        or shapes differ.
        """
        if self._copy is None or not self._copy.is_as_made():
            model = deepcopy(self._fresh).to(self._device)
            try:
                self._copy = _Traced(model)
            except _Untraceable:
                load_into(model, weights)
                return model
        if self._source is not weights:
            load_into(self._copy.model, weights)  # says what does not fit
            self._source, self._tensors = weights, self._copy.values()
        self._copy.overwrite(self._tensors)
        return self._copy.model


class _Untraceable(Exception):
    """Of something that a model holds it cannot be told whether it changes."""


class _Traced:
    """A model, and what it was when it was made. Raises _Untraceable."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._modules = list(model.modules())
        if any(map(_loads_by_itself, self._modules)):
            raise _Untraceable
        self._modes = [module.training for module in self._modules]
        self._state: list[Tensor] = list(model.state_dict(keep_vars=True).values())
        self._aliases = [tensor.detach() for tensor in self._state]
        self._forms = [_form(tensor) for tensor in self._state]
        self._known = {id(one) for one in chain(self._state, self._modules)}
        # Tensors that loading does not overwrite, and their values: no buffers, or not persistent.
        self._others: list[tuple[Tensor, Tensor]] = []
        self._attributes = [(vars(m), [*vars(m)], [*vars(m).values()]) for m in self._modules]
        held = [one for _, _, values in self._attributes for one in values]
        self._empty = [one for one in held if type(one) in _TABLES and not one]
        filled = [one for one in held if type(one) not in _ATOMS | _TABLES or one]
        self._filled = [(one, self._leaves(one)) for one in filled if type(one) not in _ATOMS]

    def is_as_made(self) -> bool:
        """Whether all is as it was made but what loading overwrites; modes are set back."""
        for module, mode in zip(self._modules, self._modes, strict=True):
            vars(module)["training"] = mode
        known = len(self._others)
        try:
            return (
                not any(self._empty)
                and all(
                    _are_same(own, names) and _are_same(own.values(), values)
                    for own, names, values in self._attributes
                )
                and all(_are_same(self._leaves(one), leaves) for one, leaves in self._filled)
                and known == len(self._others)
                and all(_form(t) == form for t, form in zip(self._state, self._forms, strict=True))
                and all(torch.equal(tensor, before) for tensor, before in self._others)
            )
        except _Untraceable:
            return False

    def values(self) -> list[Tensor]:
        """A copy of what loading has written."""
        return [alias.clone() for alias in self._aliases]

    def overwrite(self, tensors: list[Tensor]) -> None:
        """Put these values in place."""
        torch._foreach_copy_(self._aliases, tensors)

    def _leaves(self, value: Any) -> list[object]:  # noqa: ANN401 - whatever its author put there
        """What an attribute comes to, object by object. Raises _Untraceable."""
        kind = type(value)
        if kind in _ATOMS or id(value) in self._known:
            return [value]
        leaves: list[object] = [kind, len(value)] if kind in _TABLES | _CONTAINERS else []
        if kind in _TABLES:
            for key, one in value.items():
                leaves += (key, *self._leaves(one))
        elif kind in _CONTAINERS:
            for one in value:
                leaves += self._leaves(one)
        elif isinstance(value, Tensor):
            self._known.add(id(value))
            self._others.append((value, value.detach().clone()))
            leaves.append(value)
        else:
            raise _Untraceable
        return leaves


def _are_same(one: Collection[object], other: Collection[object]) -> bool:
    """Whether both are the same objects in the same order."""
    return len(one) == len(other) and all(map(is_, one, other))


def _form(tensor: Tensor) -> tuple[object, ...]:
    """What a tensor is besides its values, and what hangs on it."""
    hangs = tensor.grad is not None or tensor._backward_hooks or vars(tensor)
    return tensor.shape, tensor.stride(), tensor.data_ptr(), tensor.requires_grad, bool(hangs)


def _loads_by_itself(module: nn.Module) -> bool:
    """Whether loading weights may do more, or less, than to overwrite the tensors of the state."""
    kind, own = type(module), vars(module)
    plain = (nn.Module._load_from_state_dict, _NormBase._load_from_state_dict)
    return (
        kind.load_state_dict is not nn.Module.load_state_dict
        or kind._load_from_state_dict not in plain
        or kind.state_dict is not nn.Module.state_dict
        or kind._save_to_state_dict is not nn.Module._save_to_state_dict
        or kind.get_extra_state is not nn.Module.get_extra_state
        or any(own[key] for key in own if key.endswith("state_dict_hooks"))
    )
