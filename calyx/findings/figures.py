"""What sums over clients say of each variable: counts, means, quantiles, spread over sites.

Everything is of the values that lie within their declared range, and of cells that clients did
not hide. Of what only one site shows there are no figures: they would be that site's own.
Shapes: B bins, J categories, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from calyx.data.schema import Schema
from calyx.errors import CalyxError
from calyx.findings.association import of_classes, of_target
from calyx.findings.label_association import (
    FEW_SITES,
    NO_MARK,
    Association,
    absent,
    categories_tell,
    categories_tell_target,
    mark_tells,
    marks_tell,
)
from calyx.findings.numbers import Numbers, read_numbers
from calyx.findings.possible import check_sums
from calyx.findings.single import LEAST, is_single, without_single
from calyx.survey.blocks import ALL, ITEMS, MEAN_STEPS, WITHHELD, Cells, Item, Survey
from calyx.survey.spread import Shift, shift_of_shares, with_farthest
from calyx.survey.variables import Bounds, Variable, categorical, numeric, variables
from calyx.vector.exact import root


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
        """How many rows there are of all categories; 0 where no site has any, or tells of them."""
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
    categories = Categories(
        names=variable.categories,
        words=variable.words,
        counts=tuple(int(n) for n in cells["category"][where]),
        unknown=int(cells["unknown"][c]) if "unknown" in cells else 0,
        hidden=int(cells["hidden_rows"][c]),
        spread=() if powers is None else tuple(shift_of_shares(powers, p) for p in places),
    )
    return categories, where


Sums = Mapping[str, Cells]  # by the names of `Survey.counts()`
IS_TARGET = "it is the target itself"
NOT_MEASURED = "it is not measured of columns without a declared range or categories"


@dataclass(frozen=True)
class VariableFigures:
    """One variable over all sites."""

    variable: Variable
    rows: int  # of the sites that tell what is missing; 0 where that is not known
    missing: int
    coded: int  # of these, by a code of the schema's
    coded_open: int  # more or fewer of them at most, which sites hide
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
        """The share of all rows without a value; None where not the same sites tell both numbers."""
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
        """The share of all rows that repeat another; None where not the same sites tell both numbers."""
        return self.duplicates / self.rows if self.rows and self.is_of_all("duplicates") else None

    def is_given(self, item: Item) -> bool:
        """Whether any site gives an item."""
        return self.withheld.get(item, 0) < self.sites

    def is_of_all(self, item: str) -> bool:
        """Whether the sites that withhold an item are those that withhold all, and so their rows."""
        least = min(self.withheld.values()) if len(self.withheld) == len(ITEMS) else 0
        return self.withheld.get(item, 0) == self.withheld.get("rows", 0) == least

    def of(self, name: str) -> VariableFigures:
        """The figures of the variable `name`. Raises StopIteration where there is none."""
        return next(v for v in self.variables if v.variable.name == name)


def read_sums(sums: Sums, survey: Survey, sites: int, sample: str = ALL) -> Figures:
    """The figures of a sample, from sums over `sites` clients. Raises CalyxError for impossible ones."""
    check_sums(sums, survey, sites, sample)
    try:
        return _figures(sums, survey, sites, sample)
    except (ValueError, ArithmeticError) as error:
        raise CalyxError(
            f"the statistics are impossible, so that nothing follows from them: {error}"
        ) from error


def _figures(sums: Sums, survey: Survey, sites: int, sample: str) -> Figures:
    blocks, schema = survey.blocks(sample), survey.schema
    cells = {b.name: sums[f"{sample}/{b.name}"].reshape(b.shape) for b in blocks}
    cells = without_single(cells, schema)
    withheld = sums[f"{sample}/{WITHHELD}"].tolist()
    sites_by_item = {item: sites - int(n) for item, n in zip(ITEMS, withheld, strict=True)}
    is_audit = "duplicates" in cells
    classes = len(schema.classes) if is_audit else 0
    shifts = [shift_of_shares(cells["powers_label"], k) for k in range(classes)]
    figures = Figures(
        sites=sites,
        rows=int(cells["rows"][0]),
        duplicates=int(cells["duplicates"][0]) if is_audit else 0,
        duplicates_open=int(cells["duplicates_open"][0]) if is_audit else 0,
        labels=tuple(int(n) for n in cells["labels"]) if classes else (),
        hidden_labels=int(cells["hidden_labels"][0]) if classes else 0,
        hidden_label_rows=int(cells["hidden_label_rows"][0]) if classes else 0,
        label_spread=tuple(shifts),
        withheld={item: sites - n for item, n in sites_by_item.items() if n < sites},
        variables=tuple(_variable(v, cells, survey, sites_by_item) for v in variables(schema)),
    )
    if figures.is_of_all("missing"):
        return figures
    return replace(figures, variables=tuple(replace(v, rows=0) for v in figures.variables))


def _variable(
    variable: Variable,
    cells: Mapping[str, Cells],
    survey: Survey,
    sites_by_item: Mapping[Item, int],
) -> VariableFigures:
    schema = survey.schema
    i, ranged, named = variables(schema).index(variable), numeric(schema), categorical(schema)
    numbers: Numbers | None = None
    categories: Categories | None = None
    hidden = 0
    tells = absent(NOT_MEASURED)
    # One site's association is that site's own, too.
    is_shared = "shown_correlation" in cells and cells["shown_correlation"][i] >= LEAST
    if variable in ranged:
        r = ranged.index(variable)
        bounds = variable.bounds or (0.0, 1.0)
        numbers = read_numbers(cells, r, bounds, survey.bins)
        shift = _mean_shift(cells, r, numbers, variable.near)
        numbers = replace(numbers, spread=shift, is_few_valued=_is_few_valued(cells, r))
        if variable.role == "target":
            tells = absent(IS_TARGET)
        elif sites_by_item["moments"] != sites_by_item["correlation"]:
            tells = absent("not the same sites give moments and correlation")
        else:
            of = of_classes if schema.classes else of_target
            tells = of(cells, r, bounds) if is_shared else absent(FEW_SITES)
    elif variable in named:
        categories, where = read_categories(cells, named, variable)
        missing, hidden = int(cells["missing"][i]), categories.hidden
        is_told = categories.rows or missing >= int(cells["rows"][0])
        if is_single(variable, cells, schema) or not is_told:
            categories = None
        if "target_whole" in cells:
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
        coded_open=int(cells["coded_open"][i]),
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
    if "target_whole" not in cells:
        return absent(NOT_MEASURED)
    return mark_tells(cells, i) if cells["shown_target"][i] >= LEAST else absent(FEW_SITES)


def _mean_shift(cells: Mapping[str, Cells], r: int, numbers: Numbers, near: Bounds) -> Shift | None:
    """How the means of sites differ, as shares of the range; their powers are of shares of `near`."""
    if "spread_mean" not in cells:
        return None
    total, square, sites = (int(n) for n in cells["spread_mean"][:, r])
    if sites < 2:
        return None
    sd = root(sites * square - total**2, sites**2 << 2 * MEAN_STEPS)
    shift = Shift(float(Fraction(total, sites << MEAN_STEPS)), sd, sites)
    if not numbers.sd:
        return shift
    width = near[1] - near[0]
    share = width / (numbers.high - numbers.low)
    told = with_farthest(shift, cells["powers_mean"], r, numbers.sd / width)
    if told.farthest is None or told.chance is None:
        return told
    return replace(told, farthest=told.farthest * share, chance=told.chance * share)


def _is_few_valued(cells: Mapping[str, Cells], r: int) -> bool:
    """Whether at most sites the `r`th variable has two or three different values."""
    return "few_valued" in cells and bool(2 * cells["few_valued"][r] > cells["spread_mean"][2, r])
