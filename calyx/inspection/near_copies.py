"""Rows of two parts that are almost the same: rounded, with a little noise, or visits of one person.

A row is a near copy where a row of the other part is much nearer to it than the rows about it lie,
as no chance explains: on a line, or among few different values, rows are near each other by nature.

Shapes: J judged rows, N known rows, F columns of numbers, K neighbours.

See docs/decisions/0040.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema, Table, mark_missing
from calyx.inspection.labels import is_beyond
from calyx.seeding import rng

Values = NDArray[np.float64]

NEIGHBOURS = 20  # K: more rows than are copies of one
NEAR = (0.2, 0.05, 0.0125)  # of the distance to the K-th neighbour: the first that tells something
MOST_JUDGED, MOST_CELLS = 500, 4_000_000  # looked at; the known ones' rows times columns
_CELLS_AT_ONCE = 2**17  # of known rows beside judged ones, which then stay in a processor's cache
_FEWEST_KNOWN, _FEWEST_JUDGED = 2 * NEIGHBOURS, 5
_QUARTILES = 1.35  # standard deviations between the quartiles of a normal distribution
_MOST_MISSING = 0.05  # of a column's values
_FEWEST_VALUES, _MOST_EQUAL = 20, 0.1  # of a column of numbers; the second as a share of its rows
_CAUTION = 0.75  # of the estimated dimension: in places it is lower
_CHANCE, _SHARE, _FEWEST = 1e-6, 0.05, 3  # how unlikely, of the judged rows, and how many


@dataclass(frozen=True)
class NearCopies:
    """How many of the judged rows that were looked at are near copies of known ones."""

    count: int
    looked_at: int
    nearest: float  # the least distance, as a share of that to the K-th neighbour


def near_copies(known: Table, judged: Table, schema: Schema) -> NearCopies | None:
    """The rows of `judged` that are near copies of `known` ones; None where chance explains them.

    Deterministic. Equal rows are none: they are counted elsewhere.
    """
    if len(known) < _FEWEST_KNOWN or len(judged) < _FEWEST_JUDGED:
        return None
    used = _continuous(known.x, schema)
    if not len(used):
        return None
    known = _some(known, MOST_CELLS // len(used), "known")
    judged = _some(judged, MOST_JUDGED, "judged")
    is_image = all(schema.columns[i].kind == "image" for i in used)
    near, distances = _neighbours(*_scale(known.x[:, used], judged.x[:, used], is_image))
    share = distances / np.maximum(distances[:, -1:], 1e-300)
    is_copy = (distances > 0) & (share < max(NEAR))
    known_rest, judged_rest = (np.delete(table.x, used, axis=1) for table in (known, judged))
    is_copy = _agree(known_rest, judged_rest, near, is_copy)
    dimension = _CAUTION * min(_dimension(distances), len(used))
    for near_by in NEAR:
        is_near = is_copy & (share < near_by)
        count = int(is_near.any(axis=1).sum())
        by_chance = 1 - (1 - near_by**dimension) ** (NEIGHBOURS - 1)
        enough = count >= max(_FEWEST, _SHARE * len(judged))
        if enough and is_beyond(count, len(judged), by_chance, _CHANCE):
            return NearCopies(count, len(judged), float(share[is_near].min()))
    return None


def _continuous(x: Values, schema: Schema) -> NDArray[np.int64]:
    """The columns of `x` [N, C] with numbers that are rarely equal; of pixels, any that differ."""
    x, rows = mark_missing(x, schema), len(x)
    is_used = np.isnan(x).sum(axis=0) <= _MOST_MISSING * rows
    for group in schema.blocks(rows):
        places = group.places
        match group.first.kind:
            case "image":
                own = x[:, places]
                is_used[places] &= np.fmin.reduce(own, axis=0) != np.fmax.reduce(own, axis=0)
            case "numeric":
                is_used[places] &= _is_continuous(np.ascontiguousarray(x[:, places].T))
            case _:
                is_used[places] = False
    return np.flatnonzero(is_used)


def _is_continuous(block: Values) -> NDArray[np.bool_]:
    """Whether columns [k, N] have many different values, and none of them often; NaN is none."""
    rows = block.shape[1]
    ordered = np.sort(block, axis=1)  # NaN last
    distinct = 1 + (ordered[:, 1:] > ordered[:, :-1]).sum(axis=1)
    reach = int(_MOST_EQUAL * rows)  # equal ones stand beside each other: so far apart are too many
    is_often = (ordered[:, reach:] == ordered[:, : rows - reach]).any(axis=1)
    return np.asarray((distinct > _FEWEST_VALUES) & ~is_often)


def _some(table: Table, most: int, which: str) -> Table:
    if len(table) <= most:
        return table
    return table.take(
        np.sort(rng(0, f"near-copies-{which}").choice(len(table), most, replace=False))
    )


def _scale(known: Values, judged: Values, is_image: bool) -> tuple[Values, Values]:
    """Both in units of the spread of the known rows' middle half; cut, so that no outlier decides.

    Pixels are of one unit, and have one spread: a background of nothing but noise weighs little.
    """
    # As nanpercentile has them, which takes a call a column and is for those with holes.
    quartiles = np.percentile(known, (25, 50, 75), axis=0)
    has_holes = np.isnan(known).any(axis=0)
    quartiles[:, has_holes] = np.nanpercentile(known[:, has_holes], (25, 50, 75), axis=0)
    low, center, high = quartiles
    known, judged = (np.where(np.isnan(x), center, x) - center for x in (known, judged))
    deviation = known.std(axis=0)
    scale = np.where(high > low, (high - low) / _QUARTILES, deviation)
    scale = np.where(is_image, np.sqrt((deviation**2).mean()), scale)
    scale = np.where(scale > 0, scale, 1)
    return np.clip(known / scale, -5, 5), np.clip(judged / scale, -5, 5)


def _neighbours(known: Values, judged: Values) -> tuple[NDArray[np.int64], Values]:
    """The K known rows nearest to each judged one [J, K], and their distances [J, K], nearest first."""
    near = np.empty((len(judged), NEIGHBOURS), dtype=np.int64)
    distances = np.empty(near.shape)
    squares = (known**2).sum(axis=1)
    at_once = max(1, _CELLS_AT_ONCE // max(len(known), NEIGHBOURS * known.shape[1]))
    for rows in np.split(np.arange(len(judged)), range(at_once, len(judged), at_once)):
        own = judged[rows]
        # Known rows are read once for many judged ones; which are nearest is then told exactly. No `@`:
        # its threads wait for each other where clients are prepared side by side.
        about = squares - 2 * np.einsum("jf,kf->jk", own, known)
        some = np.argpartition(about, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
        exact = np.sqrt(((known[some] - own[:, None]) ** 2).sum(axis=2))
        order = np.argsort(exact, axis=1, kind="stable")[:, :NEIGHBOURS]
        near[rows] = np.take_along_axis(some, order, axis=1)
        distances[rows] = np.take_along_axis(exact, order, axis=1)
    return near, distances


def _agree(
    known: Values, judged: Values, near: NDArray[np.int64], is_asked: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Of the pairs [J, K] that are asked about, those whose cells are all equal; so are two NaN."""
    agree = np.zeros_like(is_asked)
    for row in np.flatnonzero(is_asked.any(axis=1)):
        own, other = judged[row], known[near[row, is_asked[row]]]
        is_equal = (own == other) | (np.isnan(own) & np.isnan(other))
        agree[row, is_asked[row]] = is_equal.all(axis=1)
    return agree


def _dimension(distances: Values) -> float:
    """The dimension of the space about the rows, by the outer half of their neighbours, which are no copies.

    In D dimensions D·j·log(d_{j+1}/d_j) is exponential with mean 1, whatever the density. Source:
    Levina and Bickel, NeurIPS 2004, Maximum likelihood estimation of intrinsic dimension.
    """
    places = np.arange(NEIGHBOURS // 2, NEIGHBOURS)
    inner = np.maximum(distances[:, places - 1], 1e-300)
    gaps = places * np.log(np.maximum(distances[:, places], 1e-300) / inner)
    mean = float(gaps.mean())
    return np.inf if mean <= 0 else 1 / mean
