"""What the training saw, as a gateway asks of it: in which cell of the release's baseline each value lies.

One look-up a request serves all who ask: which columns are unusual, how far a caller's rows are from the
training's, and the counts for drift. It knows counts over all sites and no row. Of a column without
counts (text, no declared range, too few sites) nothing is known, and nothing is said.

Shapes: N rows, C columns of the schema, V variables with counts (an image is one), S cells of all of
them: of each variable its bins or categories, then "outside" and "missing".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema
from calyx.releases.baseline import Baseline, ColumnBaseline
from calyx.survey.variables import Variable, variables

Values = NDArray[np.float64]
Cells = NDArray[np.int64]
TAIL = 0.005  # share of the training's rows, up to which a cell is rare
FAR = 3.0  # standard deviations from the mean, beyond which a rare number is unusual
UNSURE = 1 / 3  # of the rows: bins that may be off by more of them say nothing of a row's distance
_SMALL = 0.5  # rows that each cell is given beside its own, so that none is impossible
_BLOCK = 2**20  # comparisons that are made at once


@dataclass(frozen=True)
class Known:
    """A variable with counts, and where its cells begin among all S."""

    variable: Variable
    baseline: ColumnBaseline
    start: int

    @property
    def name(self) -> str:
        """The column's name, or what the image is called."""
        return self.variable.name

    @property
    def bins(self) -> int:
        """How many bins or categories; `outside` and `missing` are the two cells after them."""
        return len(self.baseline.counts)

    @property
    def end(self) -> int:
        """Where the next variable's cells begin."""
        return self.start + self.bins + 2


class _Group(NamedTuple):
    """Variables whose lines are cut at equally many places: one comparison serves all."""

    places: NDArray[np.int64]  # [G] among the V
    cuts: Values  # [G, T] ascending, NaN behind the last
    cells: Cells  # [G, T + 2] of the stretch below each cut, above the last, and of NaN


@dataclass(frozen=True, eq=False)
class Population:
    """The baseline of a release, made ready to be asked for each request."""

    known: tuple[Known, ...]  # [V]
    unknown: dict[str, str]  # why nothing is known of the other variables, by their names
    is_unusual: NDArray[np.bool_]  # [S]
    excess: Values  # [S] nats by which a value of the cell surprises more than the training's do;
    # 0 where the baseline is too unsure of its bins
    reach: (
        Values  # [S] the mean excess of a value drawn evenly from the declared range; 0 of missing
    )
    groups: tuple[_Group, ...]

    @property
    def num_cells(self) -> int:
        """S."""
        return len(self.is_unusual)

    def find_cells(self, rows: Values) -> Cells:
        """The cell [N, V], of all S, of each value of rows [N, C]; NaN and missing codes are missing.

        An image's value is the mean of its pixels.
        """
        cells = np.empty((len(rows), len(self.known)), dtype=np.int64)
        values = self._values(rows)
        for group in self.groups:
            step = max(1, _BLOCK // group.cuts.size)
            for begin in range(0, len(rows), step):
                part = slice(begin, begin + step)
                of = values[part, group.places]
                below = (of[:, :, None] >= group.cuts).sum(axis=2)
                below[np.isnan(of)] = group.cuts.shape[1] + 1
                cells[part, group.places] = group.cells[np.arange(len(group.places)), below]
        return cells

    def _values(self, rows: Values) -> Values:
        """[N, V]."""
        values = rows[:, self._first]
        for place, columns in self._images:
            values[:, place] = rows[:, columns].mean(axis=1)
        return values

    @cached_property
    def _first(self) -> Cells:
        """The first column [V] of each variable."""
        return np.array([one.variable.columns[0] for one in self.known], dtype=np.int64)

    @cached_property
    def _images(self) -> list[tuple[int, Cells]]:
        """Places among the V of those that are a mean, and of which columns."""
        images = [(i, one.variable) for i, one in enumerate(self.known)]
        return [(i, np.array(of.columns)) for i, of in images if len(of.columns) > 1]


def read_population(schema: Schema, baseline: Baseline | None) -> Population:
    """The population of a release's baseline; without one, of nothing anything is known.

    Raises ValueError where the baseline is of other columns than the schema.
    """
    asked = [of for of in variables(schema) if of.role != "target"]
    rows = {(of.name, of.role): of for of in baseline.columns} if baseline else {}
    known: list[Known] = []
    unknown = {}
    for of in asked:
        counted = rows.get((of.name, of.role))
        if counted is None and baseline is not None:
            raise ValueError(f"the baseline has no {of.role} {of.name}, and the schema has one")
        if counted is None or not counted.counts or sum(counted.counts) == 0:
            unknown[of.name] = (counted and counted.absent) or "the release has no counts of it"
            continue
        known.append(Known(of, counted, known[-1].end if known else 0))
    size = known[-1].end if known else 0
    tables = np.zeros((3, size))
    for one in known:
        tables[:, one.start : one.end] = _describe(one)
    return Population(
        tuple(known),
        unknown,
        tables[0] > 0,
        tables[1],
        tables[2],
        tuple(_group(known, schema)),
    )


def _describe(of: Known) -> Values:
    """[3, cells] of one variable: unusual or not, excess, reach."""
    baseline = of.baseline
    counts = np.array(baseline.counts, dtype=np.float64)
    total = float(counts.sum() + baseline.outside + baseline.hidden)
    # Rows that may lie in other bins, since sites told of groups only, are taken to lie anywhere.
    evenly = counts + (baseline.hidden + baseline.margin) / len(counts) + _SMALL
    share = evenly / (evenly.sum() + baseline.outside + _SMALL)
    surprise = -np.log(np.append(share, (baseline.outside + _SMALL) / total))
    usual = float((share * surprise[:-1]).sum())
    widths = np.diff(baseline.edges) if baseline.edges else np.ones(len(counts))
    reach = float((widths / widths.sum() * surprise[:-1]).sum()) - usual
    is_rare = _find_rare(baseline, counts, total)
    table = np.zeros((3, of.bins + 2))  # of a missing value nothing is said: sites differ in those
    table[0, :-1] = is_rare
    if baseline.margin <= UNSURE * counts.sum():
        table[1, :-1] = surprise - usual
        table[2, :-1] = max(0.0, reach)
    return table


def _find_rare(of: ColumnBaseline, counts: Values, total: float) -> NDArray[np.bool_]:
    """Which cells [bins + 1] are unusual: bins or categories, and "outside". See `find_unusual`."""
    most = TAIL * total
    if of.codes:  # each hidden row may be of just this category
        return np.append(counts, of.outside) + of.hidden <= most
    padded = np.pad(counts, 1)
    near = padded[:-2] + padded[1:-1] + padded[2:]
    edges = np.array(of.edges)
    mean, sd = _spread(of, counts, edges)
    closest = np.clip(mean, edges[:-1], edges[1:])
    is_far = np.abs(closest - mean) > FAR * sd
    return np.append((near <= most) & is_far, of.outside <= most)


def _spread(of: ColumnBaseline, counts: Values, edges: Values) -> tuple[float, float]:
    """Mean and standard deviation, as they are told, or else of the bins."""
    middles = (edges[:-1] + edges[1:]) / 2
    mean = of.mean if of.mean is not None else float(np.average(middles, weights=counts))
    if of.sd is not None:
        return mean, of.sd
    width = np.diff(edges)
    return mean, float(np.average((middles - mean) ** 2 + width**2 / 12, weights=counts)) ** 0.5


def _group(known: list[Known], schema: Schema) -> Iterator[_Group]:
    """Variables together whose numbers of cuts have one power of two above them."""
    cut = [_cut(one, schema.columns[one.variable.columns[0]]) for one in known]
    sizes = np.array([1 << (len(cuts) - 1).bit_length() for cuts, _ in cut], dtype=np.int64)
    for size in np.unique(sizes).tolist():
        places = np.flatnonzero(sizes == size)
        cuts = np.full((len(places), size), np.nan)
        cells = np.zeros((len(places), size + 2), dtype=np.int64)
        for row, place in enumerate(places.tolist()):
            own, of = cut[place]
            cuts[row, : len(own)] = own
            cells[row, : len(of)] = of
            cells[row, -1] = known[place].end - 1
        yield _Group(places, cuts, cells)


def _cut(of: Known, column: Column) -> tuple[Values, Cells]:
    """Where the line of numbers changes its cell [T], and the cells [T + 1] of its stretches.

    A category, or a code for "missing", is a stretch of one number.
    """
    alone = [*of.baseline.codes, *(column.missing_codes if of.variable.role == "column" else ())]
    ends = [*of.baseline.edges[:-1], *(np.nextafter(e, np.inf) for e in of.baseline.edges[-1:])]
    cuts = np.unique([*alone, *(np.nextafter(code, np.inf) for code in alone), *ends])
    cells = [_place(of, column, value) for value in (-np.inf, *cuts.tolist())]
    return cuts, np.array(cells, dtype=np.int64)


def _place(of: Known, column: Column, value: float) -> int:
    """The cell of one value that is not NaN."""
    outside, baseline = of.end - 2, of.baseline
    if of.variable.role == "column" and value in column.missing_codes:
        return outside + 1
    if baseline.codes:
        if value in baseline.codes:
            return of.start + baseline.codes.index(value)
        is_missing = column.unknown == "missing" or column.kind == "ordinal"
        return outside + 1 if is_missing else outside
    if not baseline.edges[0] <= value <= baseline.edges[-1]:
        return outside
    place = int(np.searchsorted(baseline.edges, value, "right")) - 1
    return of.start + min(place, of.bins - 1)
