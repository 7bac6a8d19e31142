"""The sixteen tables, each a function that makes it as its owners would have it.

Nobody prepared them for Calyx: byte order marks, decimal commas, `%`, `$1,234`, dates, numbers of
rows, free text, labels that one site writes in another way, rows without a label. What is dealt by
chance is dealt by one seed, so that a table is the same for everybody.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import sources
from benchmarks.tables.sources import Row
from benchmarks.tables.table import EXCEL, GERMAN, Table, Writing, changed, renamed, without
from calyx.data.partitions import PartitionConfig, partition

SEED = 20
MONTHS = "january february march april may june july august september october november december"


def _dealt(labels: list[str], sites: int, alpha: float, name: str) -> list[str]:
    """A site for each row: its labels' shares differ by Dirichlet(α); `name`-0 has the first."""
    numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return _partitioned(numbers, "dirichlet", sites, alpha, name)


def _chance(rows: int, sites: int, name: str) -> list[str]:
    """A site for each row by chance alone; sites have unequal numbers of rows, by Dirichlet(5)."""
    return _partitioned(np.zeros(rows, dtype=np.int64), "quantity", sites, 5.0, name)


def _partitioned(
    labels: NDArray[np.int64],
    kind: Literal["dirichlet", "quantity"],
    n: int,
    alpha: float,
    name: str,
) -> list[str]:
    cfg = PartitionConfig(
        name=name,
        num_clients=n,
        partition=kind,
        alpha=alpha,
        shards_per_client=1,
        min_rows=10,
        w_max=None,
    )
    sites = [""] * len(labels)
    for number, part in enumerate(partition(cfg, labels, SEED)):
        for row in part:
            sites[row] = f"{name}-{number}"
    return sites


def _at(rows: list[Row], sites: list[str], site: str, column: str) -> list[Row]:
    """One site writes this column in lower or title case, unlike the others."""
    return [
        row | {column: row[column].swapcase() if len(row[column]) == 1 else row[column].title()}
        if at == site
        else row
        for row, at in zip(rows, sites, strict=True)
    ]


def breast() -> Table:
    """Cells of a biopsy in 30 numbers, benign or malignant: Wolberg et al. 1995."""
    names, values, targets = sources.scikit("breast_cancer")
    words = ["MB"[int(target)] for target in targets]
    ids = np.random.default_rng(SEED).permutation(len(words)) + 842302
    rows = [
        {"id": str(number), "diagnosis": word} | dict(zip(names, map(repr, value), strict=True))
        for number, word, value in zip(ids, words, values, strict=True)
    ]
    sites = _dealt(words, 8, 0.5, "clinic")
    rows = _at(rows, sites, "clinic-5", "diagnosis")
    marks = "BOM and CRLF, ids, labels `m` and `b` at one clinic"
    return Table(
        "breast", "diagnosis", "classes", rows, sites,
        writing=EXCEL, dealt="8 clinics, Dirichlet 0.5 of labels", marks=marks,
    )  # fmt: skip


def penguins() -> Table:
    """Three species, as measured."""
    rows = sources.penguins()
    sites = [f"{row['Island'].lower()}-20{row['studyName'][3:5]}" for row in rows]
    marks = "BOM and CRLF, dates, ids, remarks, `NA`, the site as a column"
    return Table(
        "penguins", "Species", "classes", rows, sites,
        writing=EXCEL, dealt="9, by island and year", marks=marks,
    )  # fmt: skip


def wine() -> Table:
    """Chemistry of three cultivars: Forina et al. 1991."""
    names, values, targets = sources.scikit("wine")
    words = [("barolo", "grignolino", "barbera")[int(target)] for target in targets]
    rows = [
        dict(zip(names, map(repr, value), strict=True)) | {"cultivar": word}
        for value, word in zip(values, words, strict=True)
    ]
    rows = changed(rows, "alcohol", lambda cell: f"{cell} %")
    sites = _dealt(words, 6, 1.0, "cellar")
    return Table(
        "wine", "cultivar", "classes", rows, sites,
        dealt="6 cellars, Dirichlet 1 of labels", marks="`14.23 %`",
    )  # fmt: skip


def auto() -> Table:
    """Miles a gallon of cars of 13 years."""
    rows = sources.islp_auto()
    sites = [f"19{row['year']}" for row in rows]
    marks = "`?`, names of cars, the site as a column"
    return Table("auto", "mpg", "number", rows, sites, dealt="13, by year", marks=marks)


def diabetes() -> Table:
    """How a disease went on in a year: Efron et al. 2004."""
    names, values, targets = sources.scikit("diabetes")
    rows = [
        {n: f"{v:.5g}".replace(".", ",") for n, v in zip(names, value, strict=True)}
        | {"progression": f"{target:.0f}"}
        for value, target in zip(values, targets, strict=True)
    ]
    return Table(
        "diabetes", "progression", "number", rows, _chance(len(rows), 6, "practice"),
        writing=GERMAN, dealt="6 practices by chance", marks="`;`, decimal commas, BOM and CRLF",
    )  # fmt: skip


def wage() -> Table:
    """Wages of men of the Mid-Atlantic states."""
    rows = sources.islp("Wage")
    marks = "one file; the logarithm of the target beside it, a column of one value"
    return Table(
        "wage", "wage", "number", rows, [row["year"] for row in rows],
        column="year", answers=("logwage",), dealt="7, by year", marks=marks,
    )  # fmt: skip


def hdma() -> Table:
    """Whether a mortgage was denied: Munnell et al. 1996."""
    rows = sources.r_data("Ecdat", "Hdma")
    sites = _chance(len(rows), 8, "bank")
    rows = _at(rows, sites, "bank-3", "deny")
    marks = "a column without a name, `NA`, labels `Yes` and `No` at one bank"
    return Table("hdma", "deny", "classes", rows, sites, dealt="8 banks by chance", marks=marks)


def default() -> Table:
    """Whether a credit card was not paid."""
    rows = sources.islp("Default")
    return Table(
        "default", "default", "classes", rows, _chance(len(rows), 8, "branch"),
        dealt="8 branches by chance", marks="one label in thirty",
    )  # fmt: skip


def seattle() -> Table:
    """The weather of a day."""
    rows = sources.seattle_weather()
    sites = [MONTHS.split()[int(row["date"][5:7]) - 1] for row in rows]
    return Table("seattle", "weather", "classes", rows, sites, dealt="12, by month", marks="dates")


def gbsg2() -> Table:
    """Whether a cancer came back."""
    rows = sources.gbsg2()
    return Table(
        "gbsg2", "cens", "classes", rows, _chance(len(rows), 6, "hospital"),
        answers=("time",), dealt="6 hospitals by chance", marks="days until it was known",
    )  # fmt: skip


def chile() -> Table:
    """What Chileans meant to vote in 1988."""
    rows = sources.r_data("car", "Chile")
    names = {"N": "north", "C": "centre", "S": "south", "M": "santiago-met", "SA": "santiago"}
    marks = "a column without a name, rows without a label, the site as a column"
    return Table(
        "chile", "vote", "classes", rows, [names[row["region"]] for row in rows],
        dealt="5, by region", marks=marks,
    )  # fmt: skip


def flchain() -> Table:
    """Death within the study, from proteins in blood: Dispenzieri et al. 2012."""
    rows = sources.r_data("survival", "flchain")
    marks = "a column without a name, holes, the cause of death and the days until it as columns"
    return Table(
        "flchain", "death", "classes", rows, [row["sample.yr"] for row in rows],
        answers=("chapter", "futime"), dealt="9, by year", marks=marks,
    )  # fmt: skip


def bikeshare() -> Table:
    """Bicycles hired in an hour. `casual` and `registered`, which add up to them, are left out."""
    rows = changed(
        without(sources.islp("Bikeshare"), "casual", "registered"),
        "hum",
        lambda cell: f"{float(cell) * 100:.0f}%",
    )
    return Table(
        "bikeshare", "bikers", "number", rows, [row["mnth"].lower() for row in rows],
        writing=Writing(line_end="\r\n"), dealt="12, by month", marks="`81%`, the site as a column",
    )  # fmt: skip


def males() -> Table:
    """Wages of young men over eight years: Vella and Verbeek 1998."""
    rows = renamed(sources.r_data("Ecdat", "Males"), {"": "row"})
    marks = "one file; a person's number, rows without a site"
    return Table(
        "males", "wage", "number", rows, [row["residence"] for row in rows],
        column="residence", dealt="4, by residence", marks=marks,
    )  # fmt: skip


def diamonds() -> Table:
    """Prices of diamonds."""
    rows = changed(
        without(sources.r_data("ggplot2", "diamonds"), ""),
        "price",
        lambda cell: f"${int(cell):,}",
    )
    return Table(
        "diamonds", "price", "number", rows, [row["color"] for row in rows],
        column="color", dealt="7, by colour", marks="one file; `$1,234`",
    )  # fmt: skip


def vocab() -> Table:
    """Words of ten that somebody knows: General Social Surveys."""
    rows = renamed(sources.r_data("car", "Vocab"), {"": "id"})
    marks = "one file; ids, a target of eleven whole numbers"
    return Table(
        "vocab", "vocabulary", "number", rows, [row["year"] for row in rows],
        column="year", dealt="16, by year", marks=marks,
    )  # fmt: skip


MAKERS: dict[str, Callable[[], Table]] = {
    make.__name__: make
    for make in (
        breast, penguins, wine, auto, diabetes, wage, hdma, default,
        seattle, gbsg2, chile, flchain, bikeshare, males, diamonds, vocab,
    )
}  # fmt: skip
