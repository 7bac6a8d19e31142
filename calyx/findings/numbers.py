"""A numeric variable over all sites: each figure is right, told with a margin, or absent with its reason.

Mean and deviation are exact but for rows that sites counted otherwise. Quantiles have bounds. A
figure is told where its margin is at most half a standard deviation: less would be no figure.
Shapes: R variables with a range, B bins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from calyx.findings.distribution import Distribution, Told, Uncertain, read
from calyx.survey.blocks import Cells
from calyx.survey.moments import STEPS, Bounds, Moments, Moved, read_moments, share_bounds, unit
from calyx.survey.spread import Shift

FAR = 3.0  # interquartile ranges beyond a quartile, from which on a value is an outlier
MOST = 0.5  # standard deviations; a figure that may be off by more is not told
MOST_SHARE = 0.05  # the same of a share of rows
WIDE = 200.0  # standard deviations of a declared range that is far wider than its values
QUARTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}
_DRAWN = 16.0  # standard deviations of a range that is drawn whole; of a wider one half as many
_NONE = "no values within the declared range are shown"


@dataclass(frozen=True)
class Numbers:
    """A numeric variable; a figure is None where `absent` says why."""

    low: float
    high: float
    below: int  # rows outside the declared range
    above: int
    count: int  # rows within it
    mean: float | None
    sd: float | None  # of the population: divided by the count
    quartiles: Mapping[str, Told]  # those that are told: q1, median, q3
    outlier_share: float | None  # beyond q1 − 3·IQR … q3 + 3·IQR (Tukey 1977, "far out")
    least: float | None
    greatest: float | None
    histogram: tuple[int, ...]  # [B]
    edges: tuple[float, ...]  # [B + 1], of equal width but for the first and the last bin
    moved: Moved
    moments: Moments | None  # of the rows as they were counted
    distribution: Distribution | None
    spread: Shift | None = None
    is_few_valued: bool = False  # at most sites it has two or three different values
    margins: Mapping[str, float] = field(default_factory=dict)  # of figures that are not exact
    absent: Mapping[str, str] = field(default_factory=dict)

    def quantile(self, q: float) -> Told | None:
        """The `q` quantile, where it is known well enough."""
        told = None if self.distribution is None else self.distribution.quantile(q)
        scale = self.moments.sd if self.moments else None
        return told if told and is_near(told.margin, scale) else None

    @property
    def is_wide(self) -> bool:
        """Whether the declared range is far wider than the values."""
        sd = self.moments.sd if self.moments else 0.0
        return sd > 0 and self.high - self.low > WIDE * sd


def is_near(margin: float, sd: float | None) -> bool:
    """Whether a figure with this margin is told."""
    return sd is not None and margin <= MOST * sd


@dataclass(frozen=True)
class _Notes:
    """What is gathered while figures are read: how far each may be off, and why one is not told."""

    margins: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def read_numbers(cells: Mapping[str, Cells], r: int, bounds: Bounds, bins: int) -> Numbers:
    """The `r`th variable of the sums, drawn in so many `bins`. Raises CalyxError for impossible sums."""
    count, moved = int(cells["present"][r]), read_moved(cells, r, bounds)
    moments = read_moments(count, int(cells["sum"][r]), int(cells["square"][r]), bounds, moved)
    known = None
    if cells["cells"][r, 0, 0].sum():
        known = read(cells["cells"][r], bounds, Uncertain(*map(int, cells["open"][r])))
    notes = _Notes()
    mean, sd = _moments(moments, moved, notes)
    scale = moments.sd if moments else None  # what says how exact a figure must be, told or not
    quartiles = _quartiles(known, scale, notes)
    histogram, edges = _histogram(known, moments, bounds, bins, notes)
    return Numbers(
        low=bounds[0],
        high=bounds[1],
        below=int(cells["outside"][r, 0]),
        above=int(cells["outside"][r, 1]),
        count=count,
        mean=mean,
        sd=sd,
        quartiles=quartiles,
        outlier_share=_outliers(known, quartiles, notes),
        least=_end("least", known, scale, notes),
        greatest=_end("greatest", known, scale, notes),
        histogram=histogram,
        edges=edges,
        moved=moved,
        moments=moments,
        distribution=known,
        margins=notes.margins,
        absent=notes.absent,
    )


def read_moved(cells: Mapping[str, Cells], r: int, bounds: Bounds) -> Moved:
    """How many rows of the `r`th variable sites counted otherwise, at most."""
    joined, left, changed = (int(n) for n in cells["moved"][r])
    share = float(np.where(cells["joined_share"][r] > 0, share_bounds(), 0.0).max())
    size = Fraction(4) ** unit(bounds)
    change = float(Fraction(int(cells["change"][r]), 1 << 2 * STEPS) * size)
    return Moved(joined, share, left, changed, change)


def _moments(of: Moments | None, moved: Moved, notes: _Notes) -> tuple[float | None, float | None]:
    if of is None:
        notes.absent.update(dict.fromkeys(("mean", "sd"), _NONE))
        return None, None
    told = []
    named = (("mean", of.mean, of.mean_margin), ("sd", of.sd, of.sd_margin))
    for name, value, margin in named:
        is_told = margin == 0 or is_near(margin, of.sd)
        told.append(value if is_told else None)
        if not is_told:
            notes.absent[name] = (
                f"sites counted up to {moved.joined + moved.left + moved.changed} rows otherwise, to "
                "hide small numbers, and it could be off by more than half a standard deviation"
            )
        elif margin:
            notes.margins[name] = margin
    return told[0], told[1]


def _quartiles(
    known: Distribution | None,
    sd: float | None,
    notes: _Notes,
) -> dict[str, Told]:
    quartiles = {}
    for name, q in QUARTILES.items():
        told = known.quantile(q) if known else None
        if told is None:
            notes.absent[name] = _NONE
        elif sd is None:
            notes.absent[name] = (
                "the standard deviation, which says how exact it must be, is not known"
            )
        elif is_near(told.margin, sd) or sd == 0:
            quartiles[name] = told
            notes.margins[name] = told.margin
        else:
            notes.absent[name] = (
                f"it is known to within {told.margin:.4g} only, more than half a standard deviation"
            )
    return quartiles


def _outliers(
    known: Distribution | None,
    quartiles: Mapping[str, Told],
    notes: _Notes,
) -> float | None:
    """The share of rows far out, by the bounds of the quartiles and of the rows beyond them."""
    if known is None or "q1" not in quartiles or "q3" not in quartiles:
        notes.absent["outlier_share"] = "the quartiles are not known"
        return None
    first, third = quartiles["q1"], quartiles["q3"]
    if not are_apart(first, third):
        notes.absent["outlier_share"] = "the quartiles cannot be told apart"
        return None
    reach = FAR * (third.value - first.value)
    off = FAR * (first.margin + third.margin)
    ends = (first.value - reach, third.value + reach)
    slack = (first.margin + off, third.margin + off)
    low, high = (
        (known.below(end - by)[0], known.below(np.nextafter(end + by, np.inf))[1])
        for end, by in zip(ends, slack, strict=True)
    )
    rows = known.rows
    fewest, most = low[0] + max(0, rows - high[1]), low[1] + rows - high[0]
    below, above = known.guess(np.array(ends)).tolist()
    share = float(min(max(below + rows - above, fewest), most) / rows)
    margin = max(most / rows - share, share - fewest / rows)
    if margin > MOST_SHARE:
        notes.absent["outlier_share"] = (
            f"sites do not tell their farthest values, so that it is known to within {margin:.0%} only"
        )
        return None
    if margin:
        notes.margins["outlier_share"] = margin
    return share


def are_apart(first: Told, third: Told) -> bool:
    """Whether two quartiles differ by more than they may be off: by twice their margins at least."""
    return third.value - first.value > 2 * (first.margin + third.margin)


def _end(
    name: str,
    known: Distribution | None,
    sd: float | None,
    notes: _Notes,
) -> float | None:
    """The least or greatest value, where no site hides its own."""
    told = None if known is None else known.quantile(0.0 if name == "least" else 1.0)
    if known is None or told is None:
        notes.absent[name] = _NONE
        return None
    is_hidden = known.uncertain.below if name == "least" else known.uncertain.above
    if is_hidden or not (is_near(told.margin, sd) or sd == 0):
        notes.absent[name] = "sites do not tell their farthest values, which could be one row's"
        return None
    notes.margins[name] = told.margin
    return told.value


def _histogram(
    known: Distribution | None,
    moments: Moments | None,
    bounds: Bounds,
    bins: int,
    notes: _Notes,
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Rows in bins between the range's ends; of a wide range all but two lie about the mean."""
    low, high = bounds
    edges = np.linspace(low, high, bins + 1)
    if moments and moments.sd and high - low > _DRAWN * moments.sd:
        reach = _DRAWN / 4 * moments.sd
        ends = max(low, moments.mean - reach), min(high, moments.mean + reach)
        edges = np.linspace(*ends, bins + 1)
        edges[0], edges[-1] = low, high
    shown = tuple(edges.tolist())
    if known is None:
        notes.absent["histogram"] = _NONE
        return (), shown
    below = np.array([known.below(edge) for edge in edges[1:-1]]).reshape(-1, 2)
    least, most = (_with_ends(side, known.rows) for side in below.T)
    guess = _with_ends(np.rint(known.guess(edges[1:-1])).astype(np.int64), known.rows)
    counts = np.diff(np.clip(guess, least, np.maximum(most, least)))
    off = np.maximum(most[1:] - least[:-1] - counts, counts - np.maximum(least[1:] - most[:-1], 0))
    if off.any():
        notes.margins["histogram"] = float(off.max())
    return tuple(counts.tolist()), shown


def _with_ends(inner: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    return np.concatenate([[0], inner, [rows]])
