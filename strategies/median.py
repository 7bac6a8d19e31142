"""Coordinate-wise median of the groups' mean updates.

Yin et al., ICML 2018, arXiv:1803.01498, algorithm 1, option I; with groups of several clients it
is the median of means. A minority of groups with arbitrary updates cannot move a coordinate
beyond what the others sent.
"""

from collections.abc import Sequence

import numpy as np

from strategies.algorithm import GroupUpdate, NoKeys, Update
from strategies.robust import RobustAlgorithm, by_coordinate


class Median(RobustAlgorithm[NoKeys]):
    """w ← w + median over groups; weights of clients do not count. Locally plain training."""

    def combine(self, groups: Sequence[GroupUpdate]) -> Update:
        """The median of each coordinate over the groups."""
        return by_coordinate(groups, lambda values: np.median(values, axis=0, overwrite_input=True))
