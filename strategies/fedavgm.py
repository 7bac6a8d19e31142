"""FedAvgM: FedAvg with momentum on the server. Hsu et al. 2019, arXiv:1909.06335.

Updates of a round that saw few classes are smoothed by those of the rounds before it.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from calyx.config.section import PositiveFloat, config
from calyx.model.weights import Array, Weights, apply_update
from strategies.algorithm import Algorithm, State, Update


@config
class FedAvgMServer:
    """The server's half, with the paper's symbols."""

    lr: PositiveFloat  # the server's learning rate; 1 in the paper's formula
    beta: Annotated[float, Field(ge=0, lt=1)]  # β, what remains of the velocity; 0 is FedAvg


class FedAvgM(Algorithm[FedAvgMServer]):
    """v ← βv + Δ and w ← w − lr·v, where Δ = −(mean update, weighted by examples)."""

    server_config = FedAvgMServer

    def initial_state(self, weights: Mapping[str, Array]) -> State:
        """v = 0, float64, for each float tensor."""
        return {"v": {k: np.zeros(a.shape) for k, a in weights.items() if a.dtype.kind == "f"}}

    def step(self, weights: Weights, update: Update, state: State) -> tuple[Weights, State]:
        """One step; the state's v is −v of the paper, since `update` is −Δ."""
        v = {k: self.server.beta * state["v"][k] + d for k, d in update.items()}
        return apply_update(weights, {k: self.server.lr * d for k, d in v.items()}), {"v": v}
