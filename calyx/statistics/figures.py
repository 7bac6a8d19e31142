"""What sums over clients say of each variable: counts, means, quantiles, spread over sites.

Everything is of the values that lie within their declared range, and of cells that clients did
not hide. Of what only one site shows there are no figures: they would be that site's own.
Shapes: B bins, J categories, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from calyx.statistics.association import Association, of_classes, of_target
from calyx.statistics.blocks import (
    ALL,
    ITEMS,
    MEAN_STEPS,
    SHARE_STEPS,
    WITHHELD,
    Cells,
    Item,
    Survey,
)
from calyx.statistics.distribution import Told
from calyx.statistics.moments import root
from calyx.statistics.numbers import Numbers, read_numbers
from calyx.statistics.single import LEAST, is_single, without_single
from calyx.statistics.spread import Shift
from calyx.statistics.variables import Variable, categorical, numeric, variables

Sums = Mapping[str, Cells]  # by the names of `Survey.counts()`


@dataclass(frozen=True)
class Categories:
    """A categorical variable: rows by category, and of none that is declared."""

    names: tuple[float, ...]
    words: tuple[str, ...]  # the same for a person
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
    association_margin: float
    association_reason: str  # why there is none
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
    label_spread: tuple[Shift, ...]  # [K]
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
    shifts = [_shift(cells.get("spread_label"), k, given["spread"]) for k in range(classes)]
    return Figures(
        sites=sites,
        rows=int(cells["rows"][0]),
        duplicates=int(cells["duplicates"][0]) if is_audit else 0,
        labels=tuple(int(n) for n in cells["labels"]) if classes else (),
        hidden_labels=int(cells["hidden_labels"][0]) if classes else 0,
        label_spread=tuple(s for s in shifts if s),
        withheld={item: sites - n for item, n in given.items() if n < sites},
        variables=tuple(_variable(v, cells, survey, given) for v in variables(schema)),
    )


def _variable(
    variable: Variable, cells: Mapping[str, Cells], survey: Survey, given: Mapping[Item, int]
) -> VariableFigures:
    schema = survey.schema
    i, ranged, named = variables(schema).index(variable), numeric(schema), categorical(schema)
    association, numbers, categories = Association(None, "fewer than two sites show it"), None, None
    # One site's association is that site's own, too.
    is_shared = "shown_correlation" in cells and cells["shown_correlation"][i] >= LEAST
    if variable in ranged:
        r = ranged.index(variable)
        bounds = variable.bounds or (0.0, 1.0)
        numbers = replace(read_numbers(cells, r, bounds, survey.bins), spread=_mean_shift(cells, r))
        if given["moments"] != given["correlation"]:
            association = Association(None, "not the same sites give moments and correlation")
        elif is_shared and variable.columns:
            of = of_classes if schema.classes else of_target
            association = of(cells, r, bounds)
    elif variable in named:
        c = named.index(variable)
        start = sum(len(v.categories) for v in named[:c])
        where = slice(start, start + len(variable.categories))
        counts = tuple(int(n) for n in cells["category"][where])
        unknown = int(cells["unknown"][c])
        categories = Categories(variable.categories, variable.words, counts, unknown)
        value = _of_categories(cells, where) if is_shared else None
        association = Association(None if value is None else Told(value, 0.0), association.reason)
    return VariableFigures(
        variable=variable,
        rows=int(cells["rows"][0]),
        missing=int(cells["missing"][i]),
        coded=int(cells["coded"][i]),
        absent=int(cells["absent"][i]),
        hidden=int(cells["hidden"][i]),
        missing_spread=_shift(cells.get("spread_missing"), i, given["spread"]),
        numbers=numbers,
        categories=categories,
        association=association.told.value if association.told else None,
        association_margin=association.told.margin if association.told else 0.0,
        association_reason=association.reason,
        is_single=is_single(variable, cells, schema),
    )


def _shift(cells: Cells | None, place: int, sites: int) -> Shift | None:
    """Mean and sd over sites, from Σp and Σp² in steps."""
    if cells is None or sites < 2:
        return None
    mean, square = (float(cells[i, place]) / SHARE_STEPS / sites for i in (0, 1))
    return Shift(mean, max(0.0, square - mean**2) ** 0.5)


def _mean_shift(cells: Mapping[str, Cells], r: int) -> Shift | None:
    """How the means of sites differ, as shares of the declared range."""
    if "spread_mean" not in cells:
        return None
    total, square, sites = (int(n) for n in cells["spread_mean"][:, r])
    if sites < 2:
        return None
    sd = root(Fraction(sites * square - total**2, sites**2 << 2 * MEAN_STEPS))
    return Shift(float(Fraction(total, sites << MEAN_STEPS)), sd)


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
