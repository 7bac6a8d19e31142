"""Which column is to be predicted, and whether as classes or as a number."""

from collections import Counter
from dataclasses import dataclass

from calyx.data.drafting.categories import FEW_NUMBERS, Categories, categories
from calyx.data.drafting.columns import FEWEST, Column
from calyx.data.drafting.survey import Survey, check_column
from calyx.data.drafting.telling import (
    AT_TIMES,
    OF_CLASSES,
    OF_NUMBERS,
    OFTEN,
    PERHAPS,
    SELDOM,
    SURELY,
    is_id,
    tokens,
)
from calyx.errors import DataError, printable

SURE = 50  # from which on a name alone says what is predicted


@dataclass(frozen=True)
class Answer:
    """The column that is predicted, and how sure that is."""

    name: str
    reason: str  # why it was taken; "" where a person named it
    column: Column
    categories: Categories
    is_number: bool

    @property
    def holes(self) -> int:
        """How many rows have no label."""
        return self.column.missing


def find_target(survey: Survey, name: str) -> Answer:
    """The column of --target. Raises DataError where it cannot be one."""
    if name in survey.left_out:
        said = survey.left_out[name].removesuffix("; left out")
        raise DataError(f"--target={printable(name, 40)} cannot be predicted: {said}.")
    check_column(survey, name)
    fault = _fault(survey, name)
    if fault:
        raise DataError(fault)
    return _answer(survey, name, "")


def guess_target(survey: Survey, client: str | None) -> Answer:
    """The likeliest column by its name, its place and its values. Raises DataError if there is none."""
    scores = {
        name: _score(survey, name)
        for name in survey.columns
        if name != client and not is_id(survey, name) and _may_be_meant(survey, name)
    }
    if not scores:
        raise DataError(
            f"{survey.path} has no column that could be predicted: each has one value or none, dates, or "
            "text with many values. Bring the answer into a column, or name one with --target."
        )
    # Of equal ones the last: answers stand at the end.
    best = max(reversed(list(scores)), key=lambda name: scores[name])
    if fault := _fault(survey, best):
        raise DataError(fault)
    reason = "by its name" if _weigh_name(survey, best) > 0 else "by its place and values"
    return _answer(survey, best, reason)


def _answer(survey: Survey, name: str, reason: str) -> Answer:
    column = survey.columns[name]
    return Answer(name, reason, column, categories(column), _is_number(column, name))


def _may_be_meant(survey: Survey, name: str) -> bool:
    """Whether a column can be predicted, or is called so and could but for a class of few rows."""
    spoilt = len(categories(survey.columns[name]).words) > 1
    return not _fault(survey, name) or (spoilt and _weigh_name(survey, name) >= SURE)


def _fault(survey: Survey, name: str) -> str:
    """Why a column cannot be predicted, in a sentence; "" where it can."""
    column, shown = survey.columns[name], printable(name, 40)
    if column.present < FEWEST or len(column.words) < 2:
        what = "one value" if column.words else "no value"
        return f"{survey.path}: {shown} has {what} in all rows, so there is nothing to predict."
    if column.is_date:
        return f"{survey.path}: {shown} holds dates; make a number or classes of it to predict it."
    if _is_number(column, name):
        return ""
    words = categories(column)
    if words.rare:
        word, count, place = min(words.rare, key=lambda rare: rare[1])
        return (
            f"{place}: {printable(word, 40)!r} is a class of {shown} that only {count} of all rows have, "
            "and a draft tells nothing of so few. Correct the word, take such rows out, or write the "
            "schema's classes by hand (docs/bring-your-own.md)."
        )
    if len(words.words) < 2:
        mixed = f", and {column.text} is the first text" if column.text and column.codes else ""
        return f"{survey.path}: {shown} has too many words to be classes, and is no number{mixed}."
    return ""


def _is_number(column: Column, name: str) -> bool:
    """Whether the values are amounts, and no classes.

    Whole numbers are classes where they are few; or where each of many is as common as the others,
    or the name says so: digits, and not marks from 0 to 10.
    """
    if not column.is_number:
        return False
    listing = categories(column)
    if not column.is_whole or listing.rare or len(listing.words) < 2:
        return True
    if len(listing.words) <= FEW_NUMBERS:
        return False
    counts = column.words.values()
    is_even = len(listing.words) <= 2 * FEW_NUMBERS and max(counts) < 2 * min(counts)
    words = set(tokens(name))
    return not ((is_even and not words & OF_NUMBERS) or words & OF_CLASSES)


def _weigh_name(survey: Survey, name: str) -> int:
    """How much a name says that the column is predicted; below 0 where it says the contrary."""
    words, shared = set(tokens(name)), Counter(w for n in survey.columns for w in set(tokens(n)))
    if words == {"y"} and any(other.casefold() in ("x", "z") for other in survey.columns):
        return 0  # a place in space
    if tokens(name) == tokens(survey.path.resolve().stem):
        return 60  # a table that is called as its answer
    for among, score in ((SURELY, 100), (OFTEN, 60), (AT_TIMES, 40), (PERHAPS, 20)):
        # Of several prices none is the answer by its name.
        if any(shared[word] == 1 for word in words & among):
            return score - 10 * (len(words) - 1)
    return -40 if words & SELDOM or name.casefold().endswith(("id", "code")) else 0


def _score(survey: Survey, name: str) -> int:
    column, names = survey.columns[name], list(survey.columns)
    place = {len(names) - 1: 25, 0: 8}.get(names.index(name), 0)
    kind = 6
    if not _is_number(column, name):
        kind = 12 if len(categories(column).words) == 2 else 8
    is_site = len(survey.files) > 1 and None not in column.only.values()
    return _weigh_name(survey, name) + place + kind - 10 * (column.missing > 0) - 100 * is_site
