"""FedNova: clients that step more often do not count for more. Wang et al., NeurIPS 2020, arXiv:2007.07481.

Eq. 6 of normalised averaging with τ_eff = Σ p_i τ_i. FedAvg minimises Σ p_i τ_i f_i instead of
Σ p_i f_i where clients run different numbers of local steps τ_i: because their rows differ in
number, or because early stopping kept an earlier epoch.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from calyx.config.section import config
from calyx.model.weights import Weights, apply_update
from calyx.vector.contribution import Metric
from strategies.algorithm import Algorithm, Mean, NoKeys, State
from strategies.local import Finished, LocalObjective, Sent

TAU = "tau"
TAU_MAX = 2.0**60  # more steps than a training can take: nothing is cut


def effective_steps(steps: int, rho: float) -> float:
    """τ = ‖a‖₁ of `steps` ≥ 1 local steps of SGD with momentum ρ in [0, 1), from a velocity of 0.

    [τ − ρ(1 − ρ^τ)/(1 − ρ)] / (1 − ρ), section 4.1's case of momentum; without it, the steps.
    """
    return (steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho)


@config
class FedNovaLocal(LocalObjective):
    """The client's half: it sends d = update / τ, and τ as a mean weighted as the update is.

    τ counts the optimiser's steps up to the weights that were kept. The fixed point must hold d,
    which is smaller than an update: use privacy.bits=32.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (Metric(TAU, 0.0, TAU_MAX),)

    rho: Annotated[float, Field(ge=0, lt=1)]  # ρ, of the local optimiser: training.momentum

    def check(self, training: Mapping[str, object]) -> None:
        """SGD only, whose a_i is known; Adam's depends on the gradients."""
        if training["optimizer"] != "sgd":
            raise ValueError(
                f"strategy=fednova needs training.optimizer=sgd, not {training['optimizer']}"
            )
        if self.rho != training["momentum"]:
            raise ValueError(
                f"strategy.local.rho={self.rho} must be training.momentum={training['momentum']}; "
                "leave rho out, and it is"
            )

    def send(self, done: Finished) -> Sent:
        """Each update divided by τ, in float32."""
        tau = effective_steps(max(1, done.steps), self.rho)
        update = {k: (done.local[k] - v) / np.float32(tau) for k, v in done.start.items()}
        return Sent(update, metrics={TAU: tau})


class FedNova(Algorithm[NoKeys]):
    """w ← w + τ_eff·Σ p_i d_i with τ_eff = Σ p_i τ_i, p_i being the clients' shares of all examples."""

    local_objective = FedNovaLocal

    def apply(self, weights: Weights, mean: Mean, state: State) -> tuple[Weights, State]:
        """τ_eff times the mean of what clients sent."""
        tau = mean.metrics[TAU]
        return apply_update(weights, {k: tau * d for k, d in mean.update.items()}), state
