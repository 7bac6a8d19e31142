"""Krum: the one group's mean update that is nearest to its neighbours.

Blanchard et al., NeurIPS 2017, arXiv:1703.02757, section 4. With at most f bad groups of
G ≥ 2f + 3 the step stays near an honest one. It throws all other groups away; `multi_krum` does
not.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calyx.config.section import NonNegativeInt, config
from strategies.algorithm import GroupUpdate, Update
from strategies.robust import RobustAlgorithm, Vectors, squared_distances, vectors_of


@config
class KrumServer:
    """The server's half."""

    f: NonNegativeInt  # f, groups that may send anything


class Krum(RobustAlgorithm[KrumServer]):
    """w ← w + the chosen group's mean update; weights of groups do not count. Local: plain."""

    server_config = KrumServer

    def check_groups(self, groups: int) -> None:
        """2f + 2 < G."""
        check_enough(groups, self.server.f)

    def combine(self, groups: Sequence[GroupUpdate]) -> Update:
        """The update with the lowest score; of equal ones the first."""
        return dict(groups[int(np.argmin(scores(vectors_of(groups), self.server.f)))].mean)


def check_enough(groups: int, f: int) -> None:
    """Raise ValueError unless 2f + 2 < `groups`, the paper's condition."""
    if groups < 2 * f + 3:
        raise ValueError(
            f"strategy.server.f={f} needs at least {2 * f + 3} groups and has {groups}; use more groups "
            "or a smaller f"
        )


def scores(vectors: Vectors, f: int) -> NDArray[np.float64]:
    """s(i) [G] of rows [G, P]: the sum of squared distances to the G − f − 2 nearest other rows."""
    near = len(vectors) - f - 2
    ordered = np.sort(squared_distances(vectors), axis=1)
    sums: NDArray[np.float64] = ordered[:, 1 : near + 1].sum(axis=1)  # the first is its own 0
    return sums
