"""Geometric median of the groups' mean updates, by the smoothed Weiszfeld algorithm (RFA).

Pillutla et al., IEEE TSP 2022, arXiv:1912.13445, algorithms 1 and 2. Groups that hold less than
half of the weight cannot carry it away, whatever they send.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calyx.config.section import PositiveFloat, PositiveInt, config
from strategies.algorithm import GroupUpdate, Update
from strategies.robust import RobustAlgorithm, Vectors, update_of, vectors_of

_STILL = 1e-12  # relative fall of the objective below which more iterations change nothing


@config
class GeometricMedianServer:
    """The server's half, with the paper's symbols."""

    nu: PositiveFloat  # ν, distance below which a group pulls no harder
    iterations: PositiveInt  # T at most; it ends sooner where it stands still


class GeometricMedian(RobustAlgorithm[GeometricMedianServer]):
    """w ← w + argmin_z Σ α_g ‖z − Δ_g‖, with α_g the group's share of all examples.

    As in the paper a group counts by its weight, which is what its clients say, up to the task's
    w_max each; privacy.weighting=equal counts clients instead. Locally plain training.
    """

    server_config = GeometricMedianServer

    def combine(self, groups: Sequence[GroupUpdate]) -> Update:
        """The geometric median of the groups' vectors."""
        alphas = np.array([g.weight for g in groups], dtype=np.float64)
        cfg = self.server
        median = weiszfeld(vectors_of(groups), alphas / alphas.sum(), cfg.nu, cfg.iterations)
        return update_of(median, groups[0].mean)


def weiszfeld(
    points: Vectors, alphas: NDArray[np.float64], nu: float, iterations: int
) -> NDArray[np.float64]:
    """z [P] that minimises Σ α_g ‖z − x_g‖ over rows x_g [G, P], α [G] positive with sum 1.

    Algorithm 2 from z = the weighted mean: β_g = α_g / max(ν, ‖z − x_g‖), z = Σ β_g x_g / Σ β_g.
    The paper stops after three iterations, each of which costs it a secure sum; here they cost
    arithmetic only, so that it goes on to `iterations` or until the objective stands still.
    """
    z, before = _mean(points, alphas), np.inf
    for _ in range(iterations):
        distances = np.maximum(nu, np.sqrt(np.square(points - z).sum(axis=1)))
        now = float((alphas * distances).sum())
        if before - now <= _STILL * now:
            break
        z, before = _mean(points, alphas / distances), now
    return z


def _mean(points: Vectors, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = (weights / weights.sum())[:, np.newaxis]
    mean: NDArray[np.float64] = (points * shares).sum(axis=0)
    return mean
