"""FedOpt: an adaptive optimiser on the server. Reddi et al., ICLR 2021, arXiv:2003.00295, alg. 2.

The mean update Δ_t is the pseudo-gradient of FedAdam, FedYogi and FedAdagrad; clients train as in
FedAvg.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from calyx.config.section import PositiveFloat, config
from calyx.model.weights import Array, Weights, apply_update
from strategies.algorithm import Algorithm, State, Update

Decay = Annotated[float, Field(ge=0, lt=1)]


@config
class FedOptServer:
    """The server's half, with the paper's symbols."""

    optimizer: Literal["adam", "yogi", "adagrad"]
    lr: PositiveFloat  # η, the server's learning rate
    beta1: Decay  # β₁, decay of the first moment
    beta2: Decay  # β₂, decay of the second moment; adagrad has none
    tau: PositiveFloat  # τ, degree of adaptivity; v starts at τ²


class FedOpt(Algorithm[FedOptServer]):
    """x_{t+1} = x_t + η·m_t / (√v_t + τ), with m and v in float64 as the server's state."""

    server_config = FedOptServer

    def initial_state(self, weights: Mapping[str, Array]) -> State:
        """m = 0 and v = τ² for each float tensor."""
        floats = {k: v for k, v in weights.items() if v.dtype.kind == "f"}
        return {
            "m": {k: np.zeros(v.shape) for k, v in floats.items()},
            "v": {k: np.full(v.shape, self.server.tau**2) for k, v in floats.items()},
        }

    def step(self, weights: Weights, update: Update, state: State) -> tuple[Weights, State]:
        """One step of the chosen optimiser along Δ_t = `update`."""
        cfg = self.server
        m = {k: cfg.beta1 * state["m"][k] + (1 - cfg.beta1) * d for k, d in update.items()}
        v = {k: self._second_moment(state["v"][k], d**2) for k, d in update.items()}
        move = {k: cfg.lr * m[k] / (np.sqrt(v[k]) + cfg.tau) for k in update}
        return apply_update(weights, move), {"m": m, "v": v}

    def _second_moment(self, v: Array, square: Array) -> Array:
        beta2 = self.server.beta2
        match self.server.optimizer:
            case "adagrad":
                return v + square
            case "yogi":
                step: Array = (1 - beta2) * square * np.sign(v - square)
                return v - step
            case "adam":
                return beta2 * v + (1 - beta2) * square
