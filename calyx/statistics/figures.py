"""What sums over clients say of each variable: counts, means, quantiles, spread over sites.

Everything is of the values that lie within their declared range, and of cells that clients did
not hide. Of what only one site shows there are no figures: they would be that site's own.
Shapes: B bins, J categories, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calyx.statistics.blocks import ALL, ITEMS, SHARE_STEPS, STEPS, WITHHELD, Cells, Survey
from calyx.statistics.category_figures import Categories, read_categories
from calyx.statistics.label_association import (
    FEW_SITES,
    NO_MARK,
    Association,
    absent,
    categories_tell,
    chance_of_numbers,
    marks_tell,
)
from calyx.statistics.single import LEAST, is_single, without_single
from calyx.statistics.spread import Shift, shift_of_shares, with_farthest
from calyx.statistics.target_sums import categories_tell_target, mark_tells
from calyx.statistics.variables import Variable, categorical, numeric, variables
from calyx.tasks.base import Schema

Sums = Mapping[str, Cells]  # by the names of `Survey.counts()`
IS_TARGET = "it is the target itself"
NOT_MEASURED = "it is not measured of columns without a declared range or categories"
HIDDEN_CLASSES = "rows by class are hidden, since they are few, or the column does not vary"
FAR = 3.0  # interquartile ranges beyond a quartile, from which on a value is an outlier


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
    is_few_valued: bool = False  # at most sites it has two or three different values

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
    def outlier_share(self) -> float | None:
        """The share of rows in bins that lie beyond q1 − 3·IQR … q3 + 3·IQR as a whole.

        None where both quartiles lie in one bin: how far apart they are is then not known. Source:
        Tukey 1977, Exploratory Data Analysis, "far out".
        """
        first, third = self.quantile(0.25), self.quantile(0.75)
        if first is None or third is None:
            return None
        places = np.searchsorted(self.edges, [first, third], side="right")
        if places[0] == places[1]:
            return None
        reach = FAR * (third - first)
        is_far = (self.edges[1:] < first - reach) | (self.edges[:-1] > third + reach)
        return float(np.array(self.histogram)[is_far].sum() / sum(self.histogram))

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
class VariableFigures:
    """One variable over all sites."""

    variable: Variable
    rows: int  # of the sites that tell what is missing; 0 where that is not known
    missing: int
    coded: int  # of these, by a code of the schema's
    absent: int  # sites that have no value of it
    hidden: int  # sites that hid a small cell of it
    hidden_rows: int  # of categories that are rare at their site, or missing; not of numbers
    missing_spread: Shift | None
    numbers: Numbers | None
    categories: Categories | None  # None also where no site, or one alone, tells of them
    association: float | None  # with the label, 0 … 1
    tells: Association  # the same, with what may be off and what chance gives
    marks: Association  # of the mark "is missing" with the label
    is_single: bool  # one site alone shows values, so that numbers or categories are left out

    @property
    def missing_share(self) -> float | None:
        """Of all rows; None where other sites tell what is missing than how many rows they have."""
        return self.missing / self.rows if self.rows else None


@dataclass(frozen=True)
class Figures:
    """A sample over all sites."""

    sites: int
    rows: int
    duplicates: int
    duplicates_open: int  # more of them at most, which sites hide
    labels: tuple[int, ...]  # [K]; none of a regression
    hidden_labels: int  # sites that hid a small class
    hidden_label_rows: int  # rows of these
    label_spread: tuple[Shift | None, ...]  # [K]; None where fewer than two sites tell it
    withheld: Mapping[str, int]  # sites that gave nothing, by item; only those with some
    variables: tuple[VariableFigures, ...]

    @property
    def duplicates_share(self) -> float | None:
        """Of all rows; None where other sites tell them than how many rows they have."""
        return self.duplicates / self.rows if self.rows and self.is_of_all("duplicates") else None

    def is_of_all(self, item: str) -> bool:
        """Whether the sites that withhold an item are those that withhold all, and so their rows."""
        least = min(self.withheld.values()) if len(self.withheld) == len(ITEMS) else 0
        return self.withheld.get(item, 0) == self.withheld.get("rows", 0) == least

    def of(self, name: str) -> VariableFigures:
        """A variable's. Raises KeyError."""
        return next(v for v in self.variables if v.variable.name == name)


def read_sums(sums: Sums, survey: Survey, sites: int, sample: str = ALL) -> Figures:
    """The figures of a sample, from sums over `sites` clients."""
    blocks, schema = survey.blocks(sample), survey.schema
    cells = {b.name: sums[f"{sample}/{b.name}"].reshape(b.shape) for b in blocks}
    cells = without_single(cells, schema)
    withheld = sums[f"{sample}/{WITHHELD}"].tolist()
    given = {item: sites - int(n) for item, n in zip(ITEMS, withheld, strict=True)}
    is_audit = "duplicates" in cells
    classes = len(schema.classes) if is_audit else 0
    shifts = [shift_of_shares(cells["powers_label"], k) for k in range(classes)]
    found = Figures(
        sites=sites,
        rows=int(cells["rows"][0]),
        duplicates=int(cells["duplicates"][0]) if is_audit else 0,
        duplicates_open=int(cells["duplicates_open"][0]) if is_audit else 0,
        labels=tuple(int(n) for n in cells["labels"]) if classes else (),
        hidden_labels=int(cells["hidden_labels"][0]) if classes else 0,
        hidden_label_rows=int(cells["hidden_label_rows"][0]) if classes else 0,
        label_spread=tuple(shifts),
        withheld={item: sites - n for item, n in given.items() if n < sites},
        variables=tuple(_variable(v, cells, schema) for v in variables(schema)),
    )
    if found.is_of_all("missing"):
        return found
    return replace(found, variables=tuple(replace(v, rows=0) for v in found.variables))


def _variable(variable: Variable, cells: Mapping[str, Cells], schema: Schema) -> VariableFigures:
    i, ranged, named = variables(schema).index(variable), numeric(schema), categorical(schema)
    numbers: Numbers | None = None
    categories: Categories | None = None
    hidden = 0
    tells = absent(NOT_MEASURED)
    # One site's association is that site's own, too.
    is_shared = "shown_correlation" in cells and cells["shown_correlation"][i] >= LEAST
    if variable in ranged:
        r = ranged.index(variable)
        numbers = _numbers(cells, r, variable)
        tells = _numbers_tell(cells, r, numbers) if is_shared else absent(FEW_SITES)
        tells = tells if variable.columns else absent(IS_TARGET)
    elif variable in named:
        categories, where = read_categories(cells, named, variable)
        missing, hidden = int(cells["missing"][i]), categories.hidden
        is_told = categories.rows or missing >= int(cells["rows"][0])
        if is_single(variable, cells, schema) or not is_told:
            categories = None
        if "target_all" in cells:
            is_enough = cells["shown_target"][i] >= LEAST
            tells = categories_tell_target(cells, i, where) if is_enough else absent(FEW_SITES)
        elif "class_category" in cells:
            tells = categories_tell(cells, where, missing) if is_shared else absent(FEW_SITES)
    powers = cells.get("powers_missing")
    return VariableFigures(
        variable=variable,
        rows=int(cells["rows"][0]),
        missing=int(cells["missing"][i]),
        coded=int(cells["coded"][i]),
        absent=int(cells["absent"][i]),
        hidden=int(cells["hidden"][i]),
        hidden_rows=hidden,
        missing_spread=None if powers is None else shift_of_shares(powers, i),
        numbers=numbers,
        categories=categories,
        association=tells.value,
        tells=tells,
        marks=_marks(variable, cells, schema),
        is_single=is_single(variable, cells, schema),
    )


def _marks(variable: Variable, cells: Mapping[str, Cells], schema: Schema) -> Association:
    """What the mark "is missing" tells of the label, of a column that gives one to models."""
    i, places = variables(schema).index(variable), variable.columns
    if len(places) != 1 or not schema.columns[places[0]].may_be_missing:
        return absent(NO_MARK)
    if "class_total" in cells:
        return marks_tell(cells, i)
    if "target_all" not in cells:
        return absent(NOT_MEASURED)
    return mark_tells(cells, i) if cells["shown_target"][i] >= LEAST else absent(FEW_SITES)


def _shift(cells: Cells | None, place: int, sites: int) -> Shift | None:
    """Mean and sd over sites, from Σp and Σp² in steps."""
    if cells is None or sites < 2:
        return None
    mean, square = (float(cells[i, place]) / SHARE_STEPS / sites for i in (0, 1))
    return Shift(mean, max(0.0, square - mean**2) ** 0.5, sites)


def _numbers(cells: Mapping[str, Cells], r: int, variable: Variable) -> Numbers:
    low, high = variable.bounds or (0.0, 1.0)
    count, width = int(cells["present"][r]), high - low
    mean = sd = None
    if count:
        m = float(cells["sum"][r]) / STEPS / count
        variance = max(0.0, float(cells["square"][r]) / STEPS / count - m**2)
        mean, sd = low + m * width, variance**0.5 * width
    spread = cells.get("spread_mean")
    shift = None if spread is None else _shift(spread, r, int(spread[2, r]))
    if shift is not None and sd:
        shift = with_farthest(shift, cells["powers_mean"], r, sd / width)
    return Numbers(
        low=low,
        high=high,
        below=int(cells["outside"][r, 0]),
        above=int(cells["outside"][r, 1]),
        count=count,
        mean=mean,
        sd=sd,
        histogram=tuple(int(n) for n in cells["histogram"][r]),
        spread=shift,
        is_few_valued=spread is not None and 2 * cells["few_valued"][r] > spread[2, r],
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


def _numbers_tell(cells: Mapping[str, Cells], r: int, numbers: Numbers) -> Association:
    value = _of_numbers(cells, r, numbers)
    if value is None:
        return absent(HIDDEN_CLASSES)
    by_class = cells.get("class_present")
    if by_class is None:
        return Association(value, 0.0, chance_of_numbers(numbers.count, 0))
    classes = int((by_class[r] > 0).sum())
    return Association(value, 0.0, chance_of_numbers(int(by_class[r].sum()), classes))
