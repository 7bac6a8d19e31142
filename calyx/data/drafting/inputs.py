"""What a draft makes of each column that is not the target: an input, or a reason to leave it out."""

from dataclasses import dataclass, field, replace

import numpy as np

from calyx.data.csv.rows import Dialect
from calyx.data.drafting.answers import find_giveaways
from calyx.data.drafting.categories import FEW_NUMBERS, Categories, categories
from calyx.data.drafting.columns import FEWEST, Column, numbers_of
from calyx.data.drafting.ranges import WIDEST, codes_in, outwards
from calyx.data.drafting.survey import Survey
from calyx.data.drafting.targets import Answer
from calyx.data.drafting.telling import is_id
from calyx.errors import printable
from calyx.words.sentences import join_names

MOST_STRANGE = 3  # words that may mean "missing", among
MANY = 20  # different numbers and more


@dataclass(frozen=True)
class Input:
    """An input column as the draft proposes it."""

    name: str
    left_out: str = ""  # the reason; "" of an input
    tells: str = ""  # how it gives the answer away; it is an input where there is no other
    categories: Categories = field(default_factory=Categories)  # none of a number
    bounds: tuple[float, float] | None = None
    codes: tuple[float, ...] = ()  # numbers that mean "missing"
    unit: str = ""
    may_be_missing: bool = False


def inputs_of(survey: Survey, answer: Answer, client: str | None) -> list[Input]:
    """All columns but the target and the client column, in the order of the first file."""
    names = [name for name in survey.columns if name not in (answer.name, client)]
    reasons = {name: _useless(survey, name, client) for name in names}
    usable = [name for name in names if not reasons[name]]
    tell = find_giveaways(survey, answer, usable)
    if len(tell) < len(usable):
        reasons |= tell
    inputs = [
        Input(name, reasons[name]) if reasons[name] else _input(survey, name) for name in names
    ]
    return [replace(one, tells=tell.get(one.name, "")) for one in inputs]


def _useless(survey: Survey, name: str, client: str | None) -> str:
    """Why a column cannot be an input; "" where it can."""
    column = survey.columns[name]
    if not column.present:
        return "no value in any row"
    if column.present < FEWEST:
        return f"fewer than {FEWEST} rows have a value"
    if column.is_date:
        advice = "make a number of them, such as days or years"
        if column.iso == column.present and not column.missing:
            advice += f", or split the rows by them (time: {printable(name, 60)})"
        return f"dates or times; {advice}"
    if len(column.words) == 1 and not column.missing:
        return "one value in all rows"
    if is_id(survey, name):
        return (
            "names rows or people, or counts them; if rows of one belong together, say group: "
            f"{printable(name, 60)}"
        )
    if _is_site(survey, name, client):
        return "one value for all rows of a site: it tells the site rather than anything of the row"
    if fault := _units_fault(column):
        return fault
    strange = _among_numbers(column, survey.dialect)
    if column.is_number or (categories(column).words and not strange):
        return ""
    return _text(column, strange)


def _units_fault(column: Column) -> str:
    """Why numbers of these units are no input; "" where they are, or are not all numbers."""
    if column.texts:
        return ""
    if column.has_rare_unit:
        return (
            f"numbers, and beside some a word that fewer than {FEWEST} rows have; mend those cells"
        )
    if len(column.units) > 1:
        return f"numbers of several units ({join_names(sorted(column.units))}); write one"
    return ""


def _among_numbers(column: Column, dialect: Dialect) -> list[str]:
    """The few words, such as unknown, among many different numbers; none of other columns."""
    if column.is_number or column.is_open or 2 * column.texts > column.present:
        return []
    texts = [word for word in column.words if np.isnan(numbers_of([word], dialect))[0]]
    is_few = len(texts) <= MOST_STRANGE and len(column.words) - len(texts) > MANY
    return (
        sorted(texts)
        if is_few and min((column.words[word] for word in texts), default=0) >= FEWEST
        else []
    )


def _text(column: Column, strange: list[str]) -> str:
    """What keeps a text from being categories, or numbers."""
    if strange:
        return (
            f"numbers, and {join_names([repr(printable(word, 40)) for word in strange])} among them; if that "
            "means no value, list it under missing, and the column as numbers"
        )
    numbers = column.present - column.texts
    if numbers < column.present / 2:
        return "text with many values"
    return "numbers with text among them" if column.texts else "text"


def _is_site(survey: Survey, name: str, client: str | None) -> bool:
    """Whether each site has one value, and not all the same."""
    if client is None:
        only = survey.columns[name].only
        words = {only.get(i) for i in range(len(survey.files))}
        return len(words) > 1 and None not in words
    sites: dict[str | None, set[str | None]] = {}
    rows = survey.sample.cells
    for site, cell in zip(rows[client], rows[name], strict=True):
        sites.setdefault(site, set()).add(cell)
    values = set[str | None]().union(*sites.values())
    return (
        len(values) > 1
        and all(len(cells) == 1 for cells in sites.values())
        and len(survey.sample) >= FEWEST * len(sites)
    )


def _input(survey: Survey, name: str) -> Input:
    column = survey.columns[name]
    words, holes = categories(column), column.missing > 0
    is_few = column.is_whole and 0 < len(words.words) <= FEW_NUMBERS and not words.rare
    if not column.is_number or is_few:
        return Input(name, categories=words, may_be_missing=holes)
    values = numbers_of(survey.sample.cells[name], survey.dialect)
    codes = codes_in(values[np.isfinite(values)], FEWEST)
    low, high = column.bounds(codes)
    bounds = outwards(low, high) if max(abs(low), abs(high)) < WIDEST else None
    return Input(
        name,
        bounds=bounds,
        codes=tuple(codes),
        unit=column.unit,
        may_be_missing=holes or bool(codes),
    )
