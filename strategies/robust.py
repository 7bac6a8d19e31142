"""What the robust algorithms share: they weigh several groups' updates against each other.

A "group" is what a paper calls a worker: its mean update is one vector. G groups, P parameters.
The algorithms themselves are in files of their own.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.algorithm import Algorithm, GroupUpdate, Server, Update

Vectors = NDArray[np.float64]


class RobustAlgorithm(Algorithm[Server]):
    """An algorithm that sees every group's mean by itself; `combine` is where they differ."""

    needs_individual_updates = True

    def check_groups(self, groups: int) -> None:
        """Raise ValueError, one sentence without a full stop, where `groups` are too few."""
        if groups < 3:
            raise ValueError(
                f"privacy.groups gives {groups} groups, of which none can be outvoted by the others; "
                "use 3 or more"
            )


def vectors_of(groups: Sequence[GroupUpdate]) -> Vectors:
    """The groups' mean updates as rows [G, P], float64; a copy."""
    return np.stack([np.concatenate([v.reshape(-1) for v in g.mean.values()]) for g in groups])


def update_of(vector: NDArray[np.float64], like: Mapping[str, NDArray[np.float64]]) -> Update:
    """A vector [P] as an update with the names and shapes of `like`."""
    ends = np.cumsum([v.size for v in like.values()])[:-1]
    parts = np.split(vector, ends)
    return {k: part.reshape(v.shape) for (k, v), part in zip(like.items(), parts, strict=True)}


def squared_distances(vectors: Vectors) -> NDArray[np.float64]:
    """‖x_i − x_j‖² for all pairs of rows [G, P]: [G, G], symmetric, zero on the diagonal.

    Differences, not a product of matrices: its bytes would depend on the number of threads.
    """
    upper = np.zeros((len(vectors), len(vectors)))
    for i, row in enumerate(vectors[:-1]):
        upper[i, i + 1 :] = np.square(vectors[i + 1 :] - row).sum(axis=1)
    return upper + upper.T
