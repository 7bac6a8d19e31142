"""`serve.coverage`: the classes, or the interval, that hold the truth as often as is asked for.

It promises that for rows like the sites' test rows, mixed as these are: not for each site, and not for
rows that have drifted away from them. See calyx/model/conformal.py and decision 0092.

Shapes: N rows, K classes.
"""

import math

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema
from calyx.errors import CalyxError
from calyx.model.conformal import find_least, find_radius
from calyx.releases.card import Card

Values = NDArray[np.float64]
Interval = tuple[float, float]


class Coverage:
    """Makes prediction sets of a classifier's answers, or intervals of a regression's, by one release."""

    def __init__(self, card: Card, schema: Schema, coverage: float) -> None:
        """`coverage` is above 0 and below 1. Raises CalyxError where the release has no scores for it."""
        part = card.conformal
        if part is None:
            raise CalyxError(
                f"serve.coverage={coverage} needs scores of test rows, and the release has none: "
                f"{card.absent.get('conformal', 'its card does not say why')}. Leave serve.coverage out, or "
                "serve a release that has them."
            )
        target = schema.target
        if (part.score == "probability") != (target is None):
            raise CalyxError("The release's scores are of another kind of answer than its model's.")
        self._classes, cells = schema.classes, np.array(part.counts, dtype=np.int64)
        self._least = find_least(cells, part.ends, coverage) if target is None else math.nan
        self._radius: float | None = None
        if target is not None:
            radius = find_radius(cells, part.ends, coverage)
            if radius is None:
                raise CalyxError(
                    f"serve.coverage={coverage} cannot be given: of the release's {int(cells.sum()):,} test "
                    "rows too many are further off than any interval that it counts. Ask for less."
                )
            self._radius = radius * target.scale

    @property
    def is_of_classes(self) -> bool:
        """Whether answers get sets; else they get intervals."""
        return self._radius is None

    def sets(self, probabilities: Values) -> list[tuple[str, ...]]:
        """The classes of each row's set, of probabilities [N, K]; all of them where test rows are few.

        A set may be empty: then no class is as likely as true ones are.
        """
        inside = probabilities >= self._least
        return [
            tuple(name for name, is_in in zip(self._classes, row, strict=True) if is_in)
            for row in inside.tolist()
        ]

    def intervals(self, values: Values) -> list[Interval]:
        """Lowest and highest value of each row, of values [N, 1] in the target's own unit."""
        radius = self._radius or 0.0
        return [(value - radius, value + radius) for value in values[:, 0].tolist()]
