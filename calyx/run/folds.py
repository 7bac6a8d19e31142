"""Cross-validation, as both sides name it: a run of its own for each fold, and one that scores them all.

See docs/decisions/0023.
"""

import re

CV_RUN = "-cv"  # how the run's id ends that has all folds' models scored


def fold_run(run: str, fold: int) -> str:
    """The id of a fold's own run, of which each client keeps account like of any other."""
    return f"{run}-fold-{fold}"


def own_run(run: str) -> str:
    """The id of the run that a fold, an audit or a scoring of folds belongs to."""
    return re.sub(r"(-fold-[0-9]+|-audit|-cv)$", "", run)
