"""What the robust algorithms share: they weigh several groups' updates against each other.

A "group" is what a paper calls a worker: its mean update is one vector. G groups, P parameters.
The algorithms themselves are in files of their own.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.algorithm import Algorithm, GroupUpdate, Server, Update

Vectors = NDArray[np.float64]
_BLOCK = 2**12  # coordinates; of a hundred groups they take 3 MB


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


def by_coordinate(
    groups: Sequence[GroupUpdate], combine: Callable[[Vectors], NDArray[np.float64]]
) -> Update:
    """What `combine` makes of the values [G, B] of B coordinates: [B]; a block of them at a time.

    A block fits a cache, and beside the groups' means of one tensor nothing of their size is held.
    """
    combined: Update = {}
    for name, like in groups[0].mean.items():
        means = [g.mean[name].reshape(-1) for g in groups]
        made = np.empty(like.size)
        # Blocks of equal sizes: of a single coordinate NumPy would add the values in another order.
        blocks = max(1, like.size // _BLOCK)
        for i in range(blocks):
            part = slice(like.size * i // blocks, like.size * (i + 1) // blocks)
            made[part] = combine(np.stack([mean[part] for mean in means]))
        combined[name] = made.reshape(like.shape)
    return combined


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
