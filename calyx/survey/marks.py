"""Of a numeric column, how its mark "is missing" goes with the class: rows by class, on the client.

Shapes: K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.survey.suppression import suppress_crossed

Cells = NDArray[np.int64]


@dataclass(frozen=True)
class Marked:
    """What may be shown, 0 where it may not."""

    present: Cells  # [K] rows that have a value within its range
    missing: Cells  # [K] rows that have none
    total: Cells  # [K] all rows, where `missing` is known


def mark(
    present: Cells, missing: Cells, known: tuple[Cells, NDArray[np.bool_]], minimum: int
) -> Marked:
    """Rows [K] with and without a value. `known` are all rows and which classes are shown.

    Both together where no small number follows from both; else those with a value alone.
    """
    labels, is_shown = known
    both = np.stack([missing, present])
    if missing.any():
        shown = suppress_crossed(both, labels, (np.ones(2, dtype=np.bool_), is_shown), minimum)
        if shown[0].any():
            # A class in which nothing is shown may have been hidden.
            return Marked(shown[1], shown[0], np.where(shown.any(axis=0), labels, 0))
    one = (np.ones(1, dtype=np.bool_), is_shown)
    alone = suppress_crossed(present[None], labels, one, minimum)[0]
    total = np.zeros_like(labels) if missing.any() else np.where(is_shown, labels, 0)
    return Marked(alone, np.zeros_like(missing), total)
