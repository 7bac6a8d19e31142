"""What sums over clients say of each variable: counts, means, quantiles, spread over sites.

Everything is of the values that lie within their declared range, and of cells that clients did
not hide. Shapes: B bins, J categories, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.statistics.blocks import ALL, ITEMS, SHARE_STEPS, STEPS, WITHHELD, Cells, Survey
from calyx.statistics.variables import TARGET, Variable, categorical, numeric, variables

Sums = Mapping[str, Cells]  # by the names of `Survey.counts()`


@dataclass(frozen=True)
class Shift:
    """How a share, or a mean in units of the declared range, differs between sites."""

    mean: float  # over sites, each counting once
    sd: float


@dataclass(frozen=True)
class Numbers:
    """A numeric variable; None where too few values are known."""

    low: float
    high: float
    below: int  # rows outside the declared range
    above: int
    count: int  # rows within it
    mean: float | None
    sd: float | None  # of the population: divided by the count
    histogram: tuple[int, ...]  # [B], of equal width between low and high
    spread: Shift | None

    @property
    def edges(self) -> NDArray[np.float64]:
        """[B + 1]."""
        return np.linspace(self.low, self.high, len(self.histogram) + 1)

    def quantile(self, q: float) -> float | None:
        """The `q` quantile, to one bin: interpolated inside the bin that holds it."""
        total = sum(self.histogram)
        if total == 0:
            return None
        cumulative = np.concatenate([[0.0], np.cumsum(self.histogram)]) / total
        return float(np.interp(q, cumulative, self.edges))

    @property
    def least(self) -> float | None:
        """The lower edge of the first bin that holds a value."""
        filled = np.flatnonzero(self.histogram)
        return float(self.edges[filled[0]]) if len(filled) else None

    @property
    def greatest(self) -> float | None:
        """The upper edge of the last bin that holds a value."""
        filled = np.flatnonzero(self.histogram)
        return float(self.edges[filled[-1] + 1]) if len(filled) else None


@dataclass(frozen=True)
class Categories:
    """A categorical variable: rows by category, and of none that is declared."""

    names: tuple[float, ...]
    counts: tuple[int, ...]
    unknown: int


@dataclass(frozen=True)
class VariableFigures:
    """One variable over all sites."""

    variable: Variable
    rows: int
    missing: int
    coded: int  # of these, by a code of the schema's
    absent: int  # sites that have no value of it
    hidden: int  # sites that hid a small cell of it
    missing_spread: Shift | None
    numbers: Numbers | None
    categories: Categories | None
    association: float | None  # with the label, 0 … 1

    @property
    def missing_share(self) -> float:
        """Of all rows."""
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Figures:
    """A sample over all sites."""

    sites: int
    rows: int
    duplicates: int
    labels: tuple[int, ...]  # [K]; none of a regression
    hidden_labels: int  # sites that hid a small class
    label_spread: tuple[Shift, ...]  # [K]
    withheld: Mapping[str, int]  # sites that gave nothing, by item; only those with some
    variables: tuple[VariableFigures, ...]

    def of(self, name: str) -> VariableFigures:
        """A variable's. Raises KeyError."""
        return next(v for v in self.variables if v.variable.name == name)


def read_sums(sums: Sums, survey: Survey, sites: int, sample: str = ALL) -> Figures:
    """The figures of a sample, from sums over `sites` clients."""
    cells = {b.name: sums[f"{sample}/{b.name}"].reshape(b.shape) for b in survey.blocks(sample)}
    withheld = sums[f"{sample}/{WITHHELD}"].tolist()
    given = {item: sites - int(n) for item, n in zip(ITEMS, withheld, strict=True)}
    schema, rows = survey.schema, int(cells["rows"][0])
    ranged, named = numeric(schema), categorical(schema)
    starts = np.cumsum([0, *(len(c.categories) for c in named)])
    found = []
    for i, variable in enumerate(variables(schema)):
        spread = _shift(cells.get("spread_missing"), i, given["spread"])
        association, numbers, categories = None, None, None
        if variable in ranged:
            r = ranged.index(variable)
            numbers = _numbers(cells, r, variable)
            association = _of_numbers(cells, r, numbers) if variable.name != TARGET else None
        elif variable in named:
            c = named.index(variable)
            where = slice(int(starts[c]), int(starts[c + 1]))
            counts = tuple(int(n) for n in cells["category"][where])
            categories = Categories(variable.categories, counts, int(cells["unknown"][c]))
            association = _of_categories(cells, where)
        missing, coded, absent, hidden = (
            int(cells[k][i]) for k in ("missing", "coded", "absent", "hidden")
        )
        found.append(
            VariableFigures(
                variable=variable,
                rows=rows,
                missing=missing,
                coded=coded,
                absent=absent,
                hidden=hidden,
                missing_spread=spread,
                numbers=numbers,
                categories=categories,
                association=association,
            )
        )
    is_audit = "duplicates" in cells
    classes = len(schema.classes) if is_audit else 0
    shifts = [_shift(cells.get("spread_label"), k, given["spread"]) for k in range(classes)]
    return Figures(
        sites=sites,
        rows=rows,
        duplicates=int(cells["duplicates"][0]) if is_audit else 0,
        labels=tuple(int(n) for n in cells["labels"]) if classes else (),
        hidden_labels=int(cells["hidden_labels"][0]) if classes else 0,
        label_spread=tuple(s for s in shifts if s),
        withheld={item: sites - n for item, n in given.items() if n < sites},
        variables=tuple(found),
    )


def _shift(cells: Cells | None, place: int, sites: int) -> Shift | None:
    """Mean and sd over sites, from Σp and Σp² in steps."""
    if cells is None or sites < 2:
        return None
    mean, square = (float(cells[i, place]) / SHARE_STEPS / sites for i in (0, 1))
    return Shift(mean, max(0.0, square - mean**2) ** 0.5)


def _numbers(cells: Mapping[str, Cells], r: int, variable: Variable) -> Numbers:
    low, high = variable.bounds or (0.0, 1.0)
    count, width = int(cells["present"][r]), high - low
    mean = sd = None
    if count:
        m = float(cells["sum"][r]) / STEPS / count
        variance = max(0.0, float(cells["square"][r]) / STEPS / count - m**2)
        mean, sd = low + m * width, variance**0.5 * width
    spread = cells.get("spread_mean")
    return Numbers(
        low=low,
        high=high,
        below=int(cells["outside"][r, 0]),
        above=int(cells["outside"][r, 1]),
        count=count,
        mean=mean,
        sd=sd,
        histogram=tuple(int(n) for n in cells["histogram"][r]),
        spread=None if spread is None else _shift(spread, r, int(spread[2, r])),
    )


def _of_numbers(cells: Mapping[str, Cells], r: int, numbers: Numbers) -> float | None:
    """Correlation ratio η with the classes (for two classes |r|), or |r| with a number."""
    if numbers.mean is None or not numbers.sd:
        return None
    width = numbers.high - numbers.low
    m, s = (numbers.mean - numbers.low) / width, numbers.sd / width
    if "class_present" in cells:
        counts = cells["class_present"][r].astype(np.float64)
        if counts.sum() == 0:
            return None
        means = cells["class_sum"][r].astype(np.float64) / STEPS / np.maximum(counts, 1)
        center = float((counts * means).sum() / counts.sum())
        between = float((counts * (means - center) ** 2).sum() / counts.sum())
        return min(1.0, float(between**0.5 / s))
    if "target_product" not in cells:
        return None
    last = len(cells["present"]) - 1  # the target itself
    count = float(cells["present"][last]) or 1.0
    t = float(cells["sum"][last]) / STEPS / count
    variance = float(cells["square"][last]) / STEPS / count - t**2
    if variance <= 0:
        return None
    product = float(cells["target_product"][r]) / STEPS / numbers.count
    return min(1.0, float(abs(product - m * t) / (s * variance**0.5)))


def _of_categories(cells: Mapping[str, Cells], where: slice) -> float | None:
    """Cramér's V with the classes."""
    from scipy.stats.contingency import association

    if "class_category" not in cells:
        return None
    table = cells["class_category"][where]
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return None
    return float(association(table, method="cramer"))


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures as the JSON values of audit.json."""
    return {
        "sites": figures.sites,
        "rows": figures.rows,
        "duplicates": figures.duplicates,
        "labels": list(figures.labels),
        "label_spread": [vars(s) for s in figures.label_spread],
        "hidden_labels": figures.hidden_labels,
        "withheld": dict(figures.withheld),
        "columns": {v.variable.name: _as_json(v) for v in figures.variables},
    }


def _as_json(of: VariableFigures) -> dict[str, Any]:
    found: dict[str, Any] = {
        "unit": of.variable.unit,
        "missing": of.missing,
        "missing_share": round(of.missing_share, 6),
        "coded_missing": of.coded,
        "missing_spread": vars(of.missing_spread) if of.missing_spread else None,
        "absent_at": of.absent,
        "hidden_at": of.hidden,
        "association": of.association,
    }
    if of.numbers:
        n = of.numbers
        found |= {
            "count": n.count,
            "mean": n.mean,
            "sd": n.sd,
            "least": n.least,
            "q1": n.quantile(0.25),
            "median": n.quantile(0.5),
            "q3": n.quantile(0.75),
            "greatest": n.greatest,
            "range": [n.low, n.high],
            "outside": n.below + n.above,
            "histogram": list(n.histogram),
            "mean_spread": vars(n.spread) if n.spread else None,
        }
    if of.categories:
        named = zip(of.categories.names, of.categories.counts, strict=True)
        found |= {
            "categories": {f"{name:g}": count for name, count in named},
            "unknown": of.categories.unknown,
        }
    return found
