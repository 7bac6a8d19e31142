"""What a federated algorithm is: a server's step and a client's local objective, without Flower.

One file an algorithm holds both halves; the client's is in `strategies/local.py`. The mathematics
is pure: arrays in, arrays out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from calyx.config.section import config
from calyx.model.weights import Array, Weights, apply_update
from strategies.local import LocalObjective

Server = TypeVar("Server")
Update = dict[str, NDArray[np.float64]]
State = dict[str, Weights]  # named sets of arrays, which a checkpoint holds as they are


@config
class NoKeys:
    """A server's half without hyper-parameters."""


@dataclass(frozen=True)
class GroupUpdate:
    """What a sum over one group says: its weighted mean update and its weight, in examples."""

    mean: Mapping[str, NDArray[np.float64]]  # each is made when it is asked for
    weight: int


@dataclass(frozen=True)
class Mean:
    """What a round's sums say together."""

    update: Update  # as `combine` made it
    metrics: Mapping[str, float]  # means weighted by examples; those of the local objective too
    share: float  # of all clients that were asked, in (0, 1]


class Algorithm(Generic[Server]):
    """The server's half; as it stands it is FedAvg's. An algorithm overrides where it differs."""

    server_config: ClassVar[type[Any]] = NoKeys  # Any: each algorithm names its own dataclass
    local_objective: ClassVar[type[LocalObjective]] = LocalObjective
    needs_individual_updates: ClassVar[bool] = False  # true if one mean is not enough

    def __init__(self, server: Server) -> None:
        self.server = server

    def initial_state(self, weights: Mapping[str, Array]) -> State:
        """The server's state before round 1; nothing by default."""
        return {}

    def combine(self, groups: Sequence[GroupUpdate]) -> Update:
        """One update from the groups' means: the mean weighted by examples by default."""
        if len(groups) == 1:
            return dict(groups[0].mean)
        total = sum(g.weight for g in groups)
        return {
            k: add_in_order(g.mean[k] * (g.weight / total) for g in groups) for k in groups[0].mean
        }

    def apply(self, weights: Weights, mean: Mean, state: State) -> tuple[Weights, State]:
        """`step`, for an algorithm that needs more than the update."""
        return self.step(weights, mean.update, state)

    def step(self, weights: Weights, update: Update, state: State) -> tuple[Weights, State]:
        """The next global weights and state; by default the weights plus the update.

        New arrays: those of `weights` and `state` are written to disk meanwhile, and can only be read.
        """
        return apply_update(weights, update), state


def add_in_order(arrays: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The sum of one array or more of one shape, one after another: two of them are held at a time.

    To the byte what NumPy's sum of a stack of them is, which adds single numbers in another order.
    """
    rest = iter(arrays)
    total = next(rest)
    if total.size == 1:
        summed: NDArray[np.float64] = np.sum([total, *rest], axis=0)
        return summed
    for one in rest:
        total += one
    return total
