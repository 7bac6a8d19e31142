"""Cross-validation, as both sides name it: a run of its own for each fold, and all models in one message.

See docs/decisions/0023.
"""

import re
from collections.abc import Mapping, Sequence

from calyx.model.weights import Array, Weights

CV_RUN = "-cv"  # how the run's id ends that has all folds' models scored


def fold_run(run: str, fold: int) -> str:
    """The id of a fold's own run, of which each client keeps account like of any other."""
    return f"{run}-fold-{fold}"


def own_run(run: str) -> str:
    """The id of the run that a fold, an audit or a scoring of folds belongs to."""
    return re.sub(r"(-fold-[0-9]+|-audit|-cv)$", "", run)


def stack(models: Sequence[Mapping[str, Array]]) -> Weights:
    """The models of all folds under names of their own."""
    return {f"{i}/{name}": array for i, one in enumerate(models) for name, array in one.items()}


def unstack(weights: Mapping[str, Array], fold: int) -> Weights:
    """One fold's model of `stack`."""
    head = f"{fold}/"
    return {k.removeprefix(head): v for k, v in weights.items() if k.startswith(head)}
