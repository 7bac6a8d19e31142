"""What a model's tensors are: which a gradient moves, which is computed last, which stay behind.

It follows from the model itself, not from names or the order of registration, and from nothing
else: server and clients derive the same of the same model. One rule rests on it (decision 0034):
parameters are trained as the strategy says; all other float tensors are averaged as they are;
integers and booleans do not travel, and a model whose training moves them is refused.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calyx.errors import ConfigError
from calyx.model.weights import Array, Shapes, Weights, float_shapes, weights_of
from calyx.seeding import global_scope

if TYPE_CHECKING:
    from torch import Tensor, nn

_ROWS = 8  # of zeros and ones: what any model takes, whatever its columns mean
_SHOWN = 4  # tensors in one sentence


@dataclass(frozen=True)
class Makeup:
    """A model's tensors by name, and what each is."""

    weights: Weights  # as every party derives them from the seed, in the model's order
    trained: frozenset[str]  # parameters that a gradient moves
    variances: frozenset[str] = frozenset()  # running variances, which are never negative
    head: tuple[str, ...] = ()  # of the layer that is computed last, and of what follows it
    left: tuple[str, ...] = ()  # moved by training, and do not travel; `NAME (TYPE)`
    plain: tuple[str, ...] = ()  # the same of attributes that are no buffers
    counted: tuple[str, ...] = ()  # counts of batches that decide a running mean (momentum=None)

    @property
    def shapes(self) -> Shapes:
        """Names and shapes of the tensors that travel."""
        return float_shapes(self.weights)

    @property
    def still(self) -> frozenset[str]:
        """Float tensors that no gradient moves: they are averaged as they are."""
        return frozenset(name for name, _ in self.shapes) - self.trained

    @property
    def parameters(self) -> Weights:
        """The trained ones."""
        return {k: v for k, v in self.weights.items() if k in self.trained}


def makeup_of(model: "nn.Module", num_inputs: int) -> Makeup:
    """Find out what the tensors of a fresh model are; the model itself is not changed.

    A copy computes a few rows of zeros and ones in training mode. Where it cannot take them, what is
    seen of a computation only (`head`, `left`, `plain`) stays empty.
    """
    from torch.nn.modules.batchnorm import _NormBase

    weights = weights_of(model)
    named = model.named_parameters(remove_duplicate=False)
    norms = {n: m for n, m in model.named_modules() if isinstance(m, _NormBase)}
    after, output = _try_model(model, num_inputs)
    return Makeup(
        weights=weights,
        trained=frozenset(n for n, p in named if p.requires_grad and p.is_floating_point()),
        variances=frozenset(_in(n, "running_var") for n in norms) & weights.keys(),
        head=_head(after, output) if output is not None else (),
        left=tuple(find_left_behind(model, after)),
        plain=find_moved(model, after),
        counted=tuple(
            _in(n, "num_batches_tracked")
            for n, m in norms.items()
            if m.momentum is None and m.track_running_stats
        ),
    )


def check_left(left: tuple[str, ...]) -> None:
    """Raise ConfigError where training moves tensors that do not travel, by `find_left_behind`."""
    if not left:
        return
    more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    which = ", ".join(left[:_SHOWN]) + more
    one = len(left) == 1
    raise ConfigError(
        f"The model's {which} {'does' if one else 'do'} not travel, and training moves "
        f"{'it' if one else 'them'}: integer and boolean tensors, and buffers with persistent=False, "
        f"stay as the seed gives them, beside others that are averaged. Make {'it' if one else 'them'} "
        "float32 and persistent, which is averaged (with privacy.clip above how far it moves in a round), "
        "or keep that layer at each client "
        "(strategy=fedbn with strategy.local.keep)."
    )


def find_left_behind(before: "nn.Module", after: "nn.Module") -> list[str]:
    """List the buffers that a training has changed and that do not travel, as `NAME (TYPE)`.

    `after` is the model `before`, trained. A normalisation's count of batches is not listed: it
    decides at most how a running mean begins, and no prediction.
    """
    from torch.nn.modules.batchnorm import _NormBase

    old = dict(before.named_buffers(remove_duplicate=False))
    if not old:
        return []
    counts = {
        _in(n, "num_batches_tracked") for n, m in before.named_modules() if isinstance(m, _NormBase)
    }
    travels = set(before.state_dict())
    return [
        f"{name} ({str(old[name].dtype).removeprefix('torch.')})"
        for name, new in after.named_buffers(remove_duplicate=False)
        if name in old
        and name not in counts
        and not (name in travels and old[name].is_floating_point())
        and _is_moved(old[name], new)
    ]


def _try_model(model: "nn.Module", num_inputs: int) -> "tuple[nn.Module, Tensor | None]":
    """A copy that has seen a few rows in training, and its output with its graph, if it took them."""
    import torch

    copy = deepcopy(model).train()
    x = torch.zeros((_ROWS, num_inputs))
    x[::2] = 1
    try:
        with global_scope(0, "makeup"):
            output = copy(x)
    except Exception:  # noqa: BLE001 - a model may ask for more of its rows than this
        return deepcopy(model), None
    return copy, output if isinstance(output, torch.Tensor) else None


def find_moved(before: "nn.Module", after: "nn.Module") -> tuple[str, ...]:
    """Name the attributes (plain numbers, and tensors that are no buffers) that have changed."""
    modules = dict(before.named_modules())
    return tuple(
        _in(name, key)
        for name, module in after.named_modules()
        for key, value in vars(module).items()
        if key != "training" and _differs(vars(modules[name]).get(key), value)
    )


def _differs(old: object, new: object) -> bool:
    import torch

    if isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
        return _is_moved(old, new)
    return (
        isinstance(old, bool | int | float) and isinstance(new, bool | int | float) and old != new
    )


def _is_moved(old: "Tensor", new: "Tensor") -> bool:
    """Whether tensors of one shape differ; one of another shape is a model's note on its last rows."""
    if old.shape != new.shape:
        return False
    one, other = old.detach().cpu(), new.detach().cpu()
    return not bool(((one == other) | ((one != one) & (other != other))).all())  # NaN is NaN


def _head(model: "nn.Module", output: "Tensor") -> tuple[str, ...]:
    """Tensors of the layer with a matrix that is computed last, and of all computed after it."""
    used = dict(_last_use(model, output))
    leaves = {
        name for name, m in model.named_modules() if type(m).__module__.startswith("torch.nn.")
    }

    def layer(name: str) -> str:
        """A parameter that a module of the user's own holds itself is a layer by itself."""
        owner = name.rpartition(".")[0]
        return owner if owner in leaves else name

    parameters = dict(model.named_parameters(remove_duplicate=False))
    at: dict[str, int] = {}
    for name, place in used.items():
        at[layer(name)] = max(place, at.get(layer(name), -1))
    matrices = [place for name, place in used.items() if parameters[name].dim() >= 2]
    if not matrices:
        return ()
    return tuple(n for n in model.state_dict() if at.get(layer(n), -1) >= max(matrices))


def _last_use(model: "nn.Module", output: "Tensor") -> Iterator[tuple[str, int]]:
    """Each parameter that the output depends on, and when it was last used, in autograd's count."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    uses: dict[str, int] = {}
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for child, _ in node.next_functions:
            variable = getattr(child, "variable", None)
            for name in names.get(id(variable), ()):
                uses[name] = max(uses.get(name, -1), node._sequence_nr())
            waiting.append(child)
    yield from uses.items()


def _in(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name


def clip_variances(weights: Mapping[str, Array], variances: frozenset[str]) -> Weights:
    """Set running variances to 0 that the rounding of a sum has taken below it."""
    return {k: np.maximum(v, 0) if k in variances else v for k, v in weights.items()}
