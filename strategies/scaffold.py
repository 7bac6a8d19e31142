"""SCAFFOLD: control variates against client drift. Karimireddy et al., ICML 2020, arXiv:1910.06378.

Algorithm 1 with option II. The server's control variate c travels beside the model; each client
keeps its own c_i, and what it adds to c rides in the summed vector. Clients count by their weight
here, so that c is the weighted mean of all c_i, as the model is that of their models.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from calyx.config.section import PositiveFloat, config
from calyx.model.weights import Weights, apply_update
from strategies.algorithm import Algorithm, Mean, State
from strategies.local import Finished, LocalObjective, Sent, Start

if TYPE_CHECKING:
    from torch import Tensor

CONTROL = "control/"  # how the names of c's tensors begin


@config
class ScaffoldLocal(LocalObjective):
    """The client's half: each gradient is corrected by c − c_i (alg. 1, line 10)."""

    has_state: ClassVar[bool] = True
    draws: ClassVar[bool] = False

    def check(self, training: Mapping[str, object]) -> None:
        """Option II takes a mean gradient from the way that plain SGD went."""
        plain = (training["optimizer"], training["momentum"], training["weight_decay"])
        if plain != ("sgd", 0.0, 0.0):
            raise ValueError(
                "strategy=scaffold needs training.optimizer=sgd, training.momentum=0.0 and "
                "training.weight_decay=0.0"
            )

    def beside(self, model: Weights) -> Weights:
        """c = 0 for each parameter."""
        return {CONTROL + k: np.zeros_like(v) for k, v in model.items()}

    def penalty(self, parameters: "Mapping[str, Tensor]", start: Start) -> "Tensor | None":
        """⟨c − c_i, w⟩, whose gradient is the correction."""
        terms = []
        for name, p in parameters.items():
            control = start.beside[CONTROL + name]
            own = start.own.get(name)
            terms.append(((control if own is None else control - own) * p).sum())
        return sum(terms[1:], terms[0])

    def send(self, done: Finished) -> Sent:
        """The update, and c_i⁺ − c_i with c_i⁺ = c_i − c + (x − y_i) / (K·η_l) (line 12, II)."""
        update = {k: done.local[k] - v for k, v in done.start.items()}
        way = max(1, done.steps) * done.lr
        changes, own, clipped = {}, {}, 0
        for k in update:
            # What is cut in the sum must be cut here too, or c is no longer the mean of all c_i.
            change = -done.beside[CONTROL + k] - update[k] / np.float32(way)
            changes[CONTROL + k] = np.clip(change, -done.clip, done.clip).astype(np.float32)
            clipped += int((np.abs(change) > done.clip).sum())
            own[k] = done.own.get(k, np.zeros_like(change)) + changes[CONTROL + k]
        return Sent(update | changes, own=own, clipped=clipped)


@config
class ScaffoldServer:
    """The server's half."""

    lr: PositiveFloat  # η_g, the step along the mean update


class Scaffold(Algorithm[ScaffoldServer]):
    """x ← x + η_g·Δx and c ← c + (|S|/N)·Δc (alg. 1, lines 16 and 17)."""

    server_config = ScaffoldServer
    local_objective = ScaffoldLocal

    def apply(self, weights: Weights, mean: Mean, state: State) -> tuple[Weights, State]:
        """Both steps; |S|/N is the share of all clients that were asked."""
        move = {
            k: d * (mean.share if k.startswith(CONTROL) else self.server.lr)
            for k, d in mean.update.items()
        }
        return apply_update(weights, move), state
