"""Coordinate-wise trimmed mean of the groups' mean updates.

Yin et al., ICML 2018, arXiv:1803.01498, algorithm 1, option II (definition 2). It uses more of
what honest groups sent than a median, and withstands a share β of bad groups instead of a half.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from calyx.config.section import config
from strategies.algorithm import GroupUpdate, Update
from strategies.robust import RobustAlgorithm, by_coordinate


@config
class TrimmedMeanServer:
    """The server's half."""

    beta: Annotated[float, Field(ge=0, lt=0.5)]  # β, the share that is cut at each end


class TrimmedMean(RobustAlgorithm[TrimmedMeanServer]):
    """w ← w + trimmed mean over groups; weights of groups do not count. Locally plain training."""

    server_config = TrimmedMeanServer

    def check_groups(self, groups: int) -> None:
        """At least one value must remain of each coordinate."""
        cut = count_trimmed(groups, self.server.beta)
        if groups <= 2 * cut:
            raise ValueError(
                f"strategy.server.beta={self.server.beta} cuts {cut} of {groups} groups at each end and "
                "leaves none; use more groups or a smaller beta"
            )

    def combine(self, groups: Sequence[GroupUpdate]) -> Update:
        """The mean of each coordinate over the groups, without its k largest and k smallest."""
        cut = count_trimmed(len(groups), self.server.beta)
        kept = slice(cut, len(groups) - cut)
        return by_coordinate(groups, lambda values: np.sort(values, axis=0)[kept].mean(axis=0))


def count_trimmed(groups: int, beta: float) -> int:
    """k = ⌈βG⌉ values that are cut at each end of G ≥ 1.

    The paper takes βG to be whole. Rounding up keeps its promise: a share of at most β of bad
    groups is outweighed, also where βG is a fraction.
    """
    return math.ceil(beta * groups - 1e-9)  # 0.07 · 100 is a little above 7 in binary
