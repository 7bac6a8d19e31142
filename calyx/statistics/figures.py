"""What sums over clients say of each variable: counts, means, quantiles, spread over sites.

Everything is of the values that lie within their declared range, and of cells that clients did
not hide. Of what only one site shows there are no figures: they would be that site's own.
Shapes: B bins, J categories, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from calyx.statistics.association import of_classes, of_target
from calyx.statistics.blocks import ALL, ITEMS, MEAN_STEPS, WITHHELD, Cells, Item, Survey
from calyx.statistics.category_figures import Categories, read_categories
from calyx.statistics.label_association import (
    FEW_SITES,
    NO_MARK,
    Association,
    absent,
    categories_tell,
    marks_tell,
)
from calyx.statistics.moments import root
from calyx.statistics.numbers import Numbers, read_numbers
from calyx.statistics.single import LEAST, is_single, without_single
from calyx.statistics.spread import Shift, shift_of_shares, with_farthest
from calyx.statistics.variables import Variable, categorical, numeric, variables
from calyx.tasks.base import Schema

Sums = Mapping[str, Cells]  # by the names of `Survey.counts()`
NOT_MEASURED = "it is not measured of columns without a declared range or categories"


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
    tells: Association  # the same, with what may be off and what chance gives
    marks: Association  # of the mark "is missing" with the label
    is_single: bool  # one site alone shows values, so that numbers or categories are left out

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
    hidden_label_rows: int  # rows of these
    label_spread: tuple[Shift | None, ...]  # [K]; None where fewer than two sites tell it
    withheld: Mapping[str, int]  # sites that gave nothing, by item; only those with some
    variables: tuple[VariableFigures, ...]

    @property
    def duplicates_share(self) -> float:
        """Of all rows."""
        return self.duplicates / self.rows if self.rows else 0.0

    def of(self, name: str) -> VariableFigures:
        """A variable's. Raises KeyError."""
        return next(v for v in self.variables if v.variable.name == name)


def read_sums(sums: Sums, survey: Survey, sites: int, sample: str = ALL) -> Figures:
    """The figures of a sample, from sums over `sites` clients. Raises CalyxError for impossible ones."""
    blocks, schema = survey.blocks(sample), survey.schema
    cells = {b.name: sums[f"{sample}/{b.name}"].reshape(b.shape) for b in blocks}
    cells = without_single(cells, schema)
    withheld = sums[f"{sample}/{WITHHELD}"].tolist()
    given = {item: sites - int(n) for item, n in zip(ITEMS, withheld, strict=True)}
    is_audit = "duplicates" in cells
    classes = len(schema.classes) if is_audit else 0
    shifts = [shift_of_shares(cells["powers_label"], k) for k in range(classes)]
    return Figures(
        sites=sites,
        rows=int(cells["rows"][0]),
        duplicates=int(cells["duplicates"][0]) if is_audit else 0,
        labels=tuple(int(n) for n in cells["labels"]) if classes else (),
        hidden_labels=int(cells["hidden_labels"][0]) if classes else 0,
        hidden_label_rows=int(cells["hidden_label_rows"][0]) if classes else 0,
        label_spread=tuple(shifts),
        withheld={item: sites - n for item, n in given.items() if n < sites},
        variables=tuple(_variable(v, cells, survey, given) for v in variables(schema)),
    )


def _variable(
    variable: Variable, cells: Mapping[str, Cells], survey: Survey, given: Mapping[Item, int]
) -> VariableFigures:
    schema = survey.schema
    i, ranged, named = variables(schema).index(variable), numeric(schema), categorical(schema)
    numbers, categories = None, None
    tells = absent(NOT_MEASURED)
    # One site's association is that site's own, too.
    is_shared = "shown_correlation" in cells and cells["shown_correlation"][i] >= LEAST
    if variable in ranged:
        r = ranged.index(variable)
        bounds = variable.bounds or (0.0, 1.0)
        numbers = read_numbers(cells, r, bounds, survey.bins)
        numbers = replace(numbers, spread=_mean_shift(cells, r, numbers))
        if given["moments"] != given["correlation"]:
            tells = absent("not the same sites give moments and correlation")
        elif not variable.columns:
            tells = absent("it is what the columns are to tell")
        else:
            of = of_classes if schema.classes else of_target
            tells = of(cells, r, bounds) if is_shared else absent(FEW_SITES)
    elif variable in named:
        categories, where = read_categories(cells, named, variable)
        missing = int(cells["missing"][i])
        tells = categories_tell(cells, where, missing) if is_shared else absent(FEW_SITES)
    powers = cells.get("powers_missing")
    return VariableFigures(
        variable=variable,
        rows=int(cells["rows"][0]),
        missing=int(cells["missing"][i]),
        coded=int(cells["coded"][i]),
        absent=int(cells["absent"][i]),
        hidden=int(cells["hidden"][i]),
        missing_spread=None if powers is None else shift_of_shares(powers, i),
        numbers=numbers,
        categories=categories,
        association=tells.value,
        tells=tells,
        marks=marks_tell(cells, i) if _has_mark(variable, schema) else absent(NO_MARK),
        is_single=is_single(variable, cells, schema),
    )


def _has_mark(variable: Variable, schema: Schema) -> bool:
    places = variable.columns
    return len(places) == 1 and schema.columns[places[0]].may_be_missing


def _mean_shift(cells: Mapping[str, Cells], r: int, numbers: Numbers) -> Shift | None:
    """How the means of sites differ, as shares of the declared range."""
    if "spread_mean" not in cells:
        return None
    total, square, sites = (int(n) for n in cells["spread_mean"][:, r])
    if sites < 2:
        return None
    sd = root(Fraction(sites * square - total**2, sites**2 << 2 * MEAN_STEPS))
    shift = Shift(float(Fraction(total, sites << MEAN_STEPS)), sd, sites)
    width = numbers.high - numbers.low
    return (
        with_farthest(shift, cells["powers_mean"], r, numbers.sd / width) if numbers.sd else shift
    )
