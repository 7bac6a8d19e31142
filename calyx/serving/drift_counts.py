"""How the rows of callers are distributed, in the cells of the release's baseline: counts, never rows.

Comparing them with the baseline tells whether what is asked has drifted from what was learnt.
Shapes: N rows, V variables with counts, S cells, as in `population`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from calyx.serving.population import Cells, Population


@dataclass(frozen=True)
class CellCount:
    """How many values a cell has got since the gateway started."""

    column: str
    cell: (
        str  # the number of a bin or category, from 0 in the baseline's order; "outside", "missing"
    )
    count: int


@dataclass(eq=False)
class DriftCounts:
    """The counts of one release; whoever swaps releases begins new ones."""

    population: Population
    rows: int = 0
    counts: Cells = field(init=False)  # [S]

    def __post_init__(self) -> None:
        """Begin at zero."""
        self.counts = np.zeros(self.population.num_cells, dtype=np.int64)

    def add(self, cells: Cells) -> None:
        """Count the rows of a request, by their `population.find_cells` [N, V]."""
        self.rows += len(cells)
        if len(cells) == 1:  # a row has at most one value a cell
            self.counts[cells[0]] += 1
        else:
            self.counts += np.bincount(cells.ravel(), minlength=len(self.counts))

    def each(self) -> Iterator[CellCount]:
        """All cells that have a value, for /metrics."""
        for of in self.population.known:
            words = [*map(str, range(of.bins)), "outside", "missing"]
            for word, count in zip(words, self.counts[of.start : of.end].tolist(), strict=True):
                if count:
                    yield CellCount(of.name, word, count)
