"""Multi-Krum: the mean of the m groups' mean updates that are nearest to their neighbours.

Blanchard et al., NeurIPS 2017, arXiv:1703.02757, section 4: between Krum (m = 1) and the mean
(m = G). Scores are Krum's.
"""

from collections.abc import Sequence

import numpy as np

from calyx.config.section import NonNegativeInt, PositiveInt, config
from strategies.algorithm import GroupUpdate, Update
from strategies.krum import check_enough, scores
from strategies.robust import RobustAlgorithm, update_of, vectors_of


@config
class MultiKrumServer:
    """The server's half."""

    f: NonNegativeInt  # f, groups that may send anything
    m: PositiveInt | None  # m, groups that are averaged; null is G − f − 2


class MultiKrum(RobustAlgorithm[MultiKrumServer]):
    """w ← w + mean of the m chosen updates, each counting the same, whatever its group's weight.

    A group's weight is what its clients say, so that it must not decide. Locally plain training.
    """

    server_config = MultiKrumServer

    def check_groups(self, groups: int) -> None:
        """2f + 2 < G, and m ≤ G − f: more would take in a bad group for certain."""
        f, m = self.server.f, self.server.m
        check_enough(groups, f)
        if m is not None and m > groups - f:
            raise ValueError(
                f"strategy.server.m={m} averages more than the {groups - f} of {groups} groups that "
                f"strategy.server.f={f} leaves; use a smaller m or null"
            )

    def combine(self, groups: Sequence[GroupUpdate]) -> Update:
        """The mean of the m updates with the lowest scores; of equal ones the first."""
        f, m = self.server.f, self.server.m
        vectors = vectors_of(groups)
        order = np.argsort(scores(vectors, f), kind="stable")
        chosen = np.sort(order[: len(groups) - f - 2 if m is None else m])
        return update_of(vectors[chosen].mean(axis=0), groups[0].mean)
