"""What a federated algorithm is: a server's step and a client's local objective, without Flower.

One class a file holds both halves. The mathematics is pure: arrays in, arrays out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from calyx.config import config
from calyx.weights import Array, Weights, apply_update

if TYPE_CHECKING:
    from torch import Tensor

Server = TypeVar("Server")
Update = dict[str, NDArray[np.float64]]
State = dict[str, Weights]  # named sets of arrays, which a checkpoint holds as they are


@config
class NoKeys:
    """A server's half without hyper-parameters."""


@config
class LocalObjective:
    """The client's half, with its hyper-parameters as fields; this one is plain training."""

    def penalty(
        self, parameters: "Mapping[str, Tensor]", start: "Mapping[str, Tensor]"
    ) -> "Tensor | None":
        """What a client adds to the loss of each batch; None adds nothing.

        `parameters` are the local model's, `start` the global ones that the round began with.
        """
        return None


@dataclass(frozen=True)
class GroupUpdate:
    """What a sum over one group says: its weighted mean update and its weight, in examples."""

    mean: Update
    weight: int


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
        total = sum(g.weight for g in groups)
        return {
            k: np.sum([g.mean[k] * (g.weight / total) for g in groups], axis=0)
            for k in groups[0].mean
        }

    def step(self, weights: Weights, update: Update, state: State) -> tuple[Weights, State]:
        """The next global weights and state; by default the weights plus the update."""
        return apply_update(weights, update), state
