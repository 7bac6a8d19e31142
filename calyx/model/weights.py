"""A model's weights as named arrays: made from a seed, hashed, and kept in a file.

`Weights` maps a parameter's name to its array in the model's own order. Float tensors are float32;
integer and boolean tensors keep their type and never travel in an update (`calyx/model/makeup.py`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calyx.errors import CalyxError, ConfigError
from calyx.files.foreign import parse_json
from calyx.files.plain import MOST_TENSOR_BYTES, read_plain, write_atomically
from calyx.seeding import global_scope
from calyx.tasks.causes import cause_of, place_of
from calyx.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[Any]  # float32, float64 in a strategy's state, or an integer buffer
Weights = dict[str, Array]
Shapes = tuple[tuple[str, tuple[int, ...]], ...]
_DESCRIPTION = "calyx"  # the only key of a file's metadata


def initial_model(task: Task, num_inputs: int, seed: int, fold: int | None = None) -> "nn.Module":
    """The task's model with the weights that every party derives from `seed`, or from a fold's too.

    Raises ConfigError where it cannot be made, or holds what cannot be trained, sent or kept in a
    file.
    """
    import torch

    with global_scope(seed, "initial-weights", 0 if fold is None else fold + 1):
        try:
            model: Any = task.model(num_inputs)  # whatever its author made of it
        except CalyxError:
            raise
        except (Exception, SystemExit) as error:  # a script's line that ends its process, too
            raise ConfigError(
                f"The model of task={task.name} cannot be made for {num_inputs} inputs: "
                f"{cause_of(error, task)}. Mend the task's `model`."
            ) from error
    if not isinstance(model, torch.nn.Module):
        kind = "None" if model is None else f"a {type(model).__name__}"
        raise ConfigError(
            f"The `model` of task={task.name} returns {kind} "
            f"({place_of(task, 'model')}), and must return a torch.nn.Module."
        )
    network: nn.Module = model
    _check_state(network, task)
    return network


def _check_state(model: "nn.Module", task: Task) -> None:
    """Raise ConfigError where a model holds what cannot be trained, sent or kept in a file."""
    import torch
    from torch.nn.parameter import is_lazy

    known = {
        torch.float32,
        torch.float64,
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
    }
    for name, value in model.state_dict().items():
        if is_lazy(value):
            problem = "has no size yet: use a layer that is made with its sizes, not a lazy one"
        elif not isinstance(value, torch.Tensor):
            problem = "is no tensor: keep it outside of the module's state"
        elif value.dtype not in known or value.layout != torch.strided:
            kind = str(value.dtype).removeprefix("torch.")
            form = "dense" if value.layout == torch.strided else "sparse"
            problem = f"is {form} {kind}: a model's tensors are dense float32, or integers"
        else:
            continue
        raise ConfigError(f"The model of task={task.name} cannot be used: {name} {problem}.")


def weights_of(model: "nn.Module") -> Weights:
    """A copy of the model's parameters and buffers."""
    return {k: v.detach().cpu().numpy().copy() for k, v in model.state_dict().items()}


def load_into(model: "nn.Module", weights: Mapping[str, Array]) -> None:
    """Copy `weights` into the model. Raises RuntimeError if names or shapes differ."""
    import torch

    model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()})


def stack(models: Sequence[Mapping[str, Array]]) -> Weights:
    """The tensors of several models, each under its model's number."""
    return {f"{i}/{name}": array for i, one in enumerate(models) for name, array in one.items()}


def unstack(weights: Mapping[str, Array], number: int) -> Weights:
    """One model of `stack`."""
    head = f"{number}/"
    return {k.removeprefix(head): v for k, v in weights.items() if k.startswith(head)}


def float_shapes(weights: Mapping[str, Array]) -> Shapes:
    """Names and shapes of the tensors that travel in an update."""
    return tuple((k, v.shape) for k, v in weights.items() if v.dtype.kind == "f")


def hash_weights(weights: Mapping[str, Array]) -> str:
    """SHA-256, in hex, over names, types, shapes and little-endian bytes, in the model's order."""
    state = hashlib.sha256()
    for name, array in weights.items():
        head = f"{name}\0{array.dtype.newbyteorder('<').str}\0{array.shape}\0".encode()
        state.update(len(head).to_bytes(4, "little") + head)
        state.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return state.hexdigest()


def apply_update(
    weights: Mapping[str, Array], update: Mapping[str, NDArray[np.float64]]
) -> Weights:
    """`weights` + `update`, rounded once to each tensor's own type; other tensors unchanged."""
    return {
        # Added in float64 and rounded on its way out, piece by piece: no copies in float64.
        k: np.add(v, update[k], out=np.empty_like(v), casting="same_kind") if k in update else v
        for k, v in weights.items()
    }


def save_weights(path: Path, weights: Mapping[str, Array], description: str | None = None) -> str:
    """Write a safetensors file atomically; returns its SHA-256 in hex.

    Its metadata are a `description` of the weights, or there are none.
    """
    data = to_bytes(weights, description)
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def to_bytes(weights: Mapping[str, Array], description: str | None = None) -> bytes:
    """A safetensors file's bytes, as `save_weights` writes them."""
    from safetensors.numpy import save

    metadata = None if description is None else {_DESCRIPTION: description}
    return save({k: np.asarray(v, order="C") for k, v in weights.items()}, metadata)


def load_weights(path: Path, order: list[str] | None = None) -> Weights:
    """Read a safetensors file; `order` restores the model's own order of names.

    Raises OSError; ValueError or safetensors' own error for a damaged file.
    """
    loaded = _decode(read_plain(path, MOST_TENSOR_BYTES))
    return {k: loaded[k] for k in (order or loaded)}


def decode_with_description(data: bytes) -> tuple[Weights, str | None]:
    """The tensors of a safetensors file, and the description in its metadata, if any.

    Raises ValueError, or safetensors' own error, for damaged bytes.
    """
    weights = _decode(data)
    # The first eight bytes are the length of a JSON header, which safetensors has read by now.
    header = parse_json(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return weights, header.get("__metadata__", {}).get(_DESCRIPTION)


def _decode(data: bytes) -> Weights:
    from safetensors.numpy import load

    try:
        return load(data)
    except KeyError as error:  # a type of numbers that NumPy has not
        raise ValueError(f"tensors of the type {error}") from None
