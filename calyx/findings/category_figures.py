"""What sums over clients say of a categorical variable: rows by category, and rows of hidden ones.

Shapes: J categories of all variables together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calyx.survey.blocks import Cells
from calyx.survey.spread import Shift, shift_of_shares
from calyx.survey.variables import Variable


@dataclass(frozen=True)
class Categories:
    """A categorical variable: rows by category, and of none that is declared.

    `hidden` rows more are of rare categories, or have none: of which and how many is not known.
    """

    names: tuple[float, ...]
    words: tuple[str, ...]  # the same for a person
    counts: tuple[int, ...]
    unknown: int
    hidden: int = 0
    spread: tuple[Shift | None, ...] = ()  # of each category's share

    @property
    def rows(self) -> int:
        """Of all kinds: 0 where no site has, or tells of, any."""
        return sum(self.counts) + self.unknown + self.hidden

    @property
    def mode(self) -> float | None:
        """The most frequent category; None where another is as frequent, or hidden rows could make it so."""
        if not any(self.counts):
            return None
        first = int(np.argmax(self.counts))
        rest = max((n for i, n in enumerate(self.counts) if i != first), default=0)
        return self.names[first] if self.counts[first] > rest + self.hidden else None


def read_categories(
    cells: Mapping[str, Cells], named: tuple[Variable, ...], variable: Variable
) -> tuple[Categories, slice]:
    """A variable's categories, and where they stand among those of all variables."""
    c = named.index(variable)
    start = sum(len(v.categories) for v in named[:c])
    where = slice(start, start + len(variable.categories))
    powers = cells.get("powers_category")
    places = range(where.start, where.stop)
    found = Categories(
        names=variable.categories,
        words=variable.words,
        counts=tuple(int(n) for n in cells["category"][where]),
        unknown=int(cells["unknown"][c]) if "unknown" in cells else 0,
        hidden=int(cells["hidden_rows"][c]),
        spread=() if powers is None else tuple(shift_of_shares(powers, p) for p in places),
    )
    return found, where
