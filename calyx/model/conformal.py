"""How well a model's true answers score, as counts that add up over clients, and the sets they give.

Split conformal prediction: of n rows that a model was neither trained on nor chosen by, a new one like
them scores no worse than the ⌈(n + 1) · coverage⌉-th best with probability `coverage` at least. A
classifier's answer is then every class that scores so well (Sadinle, Lei, Wasserman, JASA 2019,
arXiv:1609.00451), a regression's an interval of that width (Lei et al., JASA 2018, arXiv:1604.04173).

A score is told as the cell that it lies in, and counts as the cell's worst end: sets may be larger than
those of exact scores, and never smaller. Cells are the same for every run. See decision 0092.

Shapes: N rows, K classes, S cells of scores, from the best to the worst.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema
from calyx.model.metrics import ROWS_MAX, Over
from calyx.vector.contribution import Cells, Count
from calyx.vector.figures import IMPOSSIBLE

NAME = "conformal"  # of the counts
Ends = Sequence[float] | NDArray[np.float64]
_SIXTY_FOURTHS, _LEAST_BITS = 64, 16  # cells of a probability: 63/64 … 1/64, 2^-7 … 2^-16, 0
_OCTAVE, _FROM, _TO = 12, -8, 4  # cells of an error: 2^-8 … 2^4 scales in steps of 2^(1/12), beyond
# Rows of small cells count as in the worst cell of as many: 1/16 of probability, half an octave.
_WIDE = {"classes": 4, "target": 6}
_SLACK = 1e-9  # a probability that is computed again may differ in its last bits
_CONFIDENTIAL = "rows are not counted with privacy.weighting=equal"
_OWN_MODELS = "each client tests a model of its own, and no row says how another's would score"


@cache
def probability_ends() -> NDArray[np.float64]:
    """Lower ends [S] of the cells of a true class's probability, from the best to 0."""
    even = np.arange(_SIXTY_FOURTHS - 1, 0, -1) / _SIXTY_FOURTHS
    halves = 2.0 ** -np.arange(7, _LEAST_BITS + 1)
    return np.concatenate([even, halves, [0.0]])


@cache
def error_ends() -> NDArray[np.float64]:
    """Upper ends [S] of the cells of an absolute error in units of the target's scale; the last is ∞."""
    return np.append(2.0 ** (np.arange(_FROM * _OCTAVE, _TO * _OCTAVE + 1) / _OCTAVE), math.inf)


def conformal_terms(schema: Schema, over: Over) -> tuple[Count, ...]:
    """What a test counts of scores; nothing where numbers of rows are confidential."""
    if over == "clients":
        return ()
    ends = probability_ends() if schema.target is None else error_ends()
    return (Count(NAME, len(ends), ROWS_MAX),)


def count_probabilities(probabilities: NDArray[np.float64], beyond: int = 0) -> NDArray[np.int64]:
    """Rows [S] by the probability 0 … 1 [N] of their true class; `beyond` more have none that is finite."""
    ends = probability_ends()
    return _count(np.searchsorted(-ends, -probabilities, side="left"), len(ends), beyond)


def count_errors(errors: NDArray[np.float64], beyond: int = 0) -> NDArray[np.int64]:
    """Rows [S] by their absolute error ≥ 0 [N] in scales; `beyond` more have none that is finite."""
    ends = error_ends()
    return _count(np.searchsorted(ends, errors, side="left"), len(ends), beyond)


def _count(places: NDArray[np.intp], size: int, beyond: int) -> NDArray[np.int64]:
    counts = np.bincount(places, minlength=size).astype(np.int64)
    counts[-1] += beyond
    return counts


def coarsen_conformal(counts: Mapping[str, Cells], schema: Schema, least: int) -> dict[str, Cells]:
    """A client's counts as it sends them: rows of cells below `least` lie in the worst cell of a wide one.

    So a single row's score is told no finer than by the bins of a calibration (docs/secagg.md, C4), and
    no set becomes smaller for it.
    """
    if NAME not in counts:
        return dict(counts)
    wide = _WIDE["classes" if schema.target is None else "target"]
    cells = counts[NAME].copy()
    for start in range(0, len(cells), wide):
        own = cells[start : start + wide]  # a view
        small = own < least
        few = own[small].sum()
        own[small] = 0
        own[-1] += few
    return {**counts, NAME: cells}


def read_conformal(
    counts: Mapping[str, Cells], *, is_own: bool
) -> tuple[tuple[int, ...] | None, str | None]:
    """The cells of a test's sums, or None and why; `is_own`: each client has tested a model of its own."""
    if is_own:
        return None, _OWN_MODELS
    if NAME not in counts:
        return None, _CONFIDENTIAL
    if not fits(counts):
        return None, IMPOSSIBLE
    if not (cells := tuple(int(cell) for cell in counts[NAME])) or not sum(cells):
        return None, "no client has test rows"
    return cells, None


def fits(counts: Mapping[str, Cells]) -> bool:
    """Whether the cells can be of the same rows as a test's other counts."""
    return int(sum(counts[NAME])) == int(counts["rows"][0])


def find_cell(cells: NDArray[np.int64], coverage: float) -> int | None:
    """The cell [S] of the ⌈(n + 1) · coverage⌉-th best of n scores; None where n are too few for it.

    `coverage` is between 0 and 1, and taken as the decimal that is written.
    """
    rank = math.ceil((int(cells.sum()) + 1) * Fraction(str(coverage)))
    places = np.flatnonzero(np.cumsum(cells) >= rank)
    return int(places[0]) if len(places) else None


def find_least(cells: NDArray[np.int64], ends: Ends, coverage: float) -> float:
    """The probability from which on a class is in a set, 0 … 1; 0 where the rows are too few.

    `ends` [S] are those of the cells, as `probability_ends`.
    """
    place = find_cell(cells, coverage)
    return 0.0 if place is None else float(ends[place]) * (1 - _SLACK)


def find_radius(cells: NDArray[np.int64], ends: Ends, coverage: float) -> float | None:
    """Half an interval's width in units of the target's scale; None where no width is wide enough.

    `ends` are those of the cells, as `error_ends`, whose last may be left out.
    """
    place = find_cell(cells, coverage)
    radius = math.inf if place is None or place >= len(ends) else float(ends[place])
    return radius if math.isfinite(radius) else None
