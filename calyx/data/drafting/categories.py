"""The words of a column that a draft may list: those of several rows, each in one spelling.

A word that fewer than FEWEST rows have could tell of one person, and is not listed; yes, no and the
like tell nothing. Words that differ in case or in blanks only are taken for one, and asked about.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from calyx.data.drafting.columns import FEWEST, USUAL, Column, Place
from calyx.data.drafting.telling import SHORT
from calyx.data.words import exact

MOST_CATEGORIES = 50  # listed of a column
FEW_NUMBERS = 6  # distinct whole numbers that are rather categories
MOST_RARE = 0.2  # share of a column's rows with words of few rows; with more it is a text


@dataclass(frozen=True)
class Categories:
    """What a column's cells are, in the order that a schema lists them."""

    words: tuple[str, ...] = ()  # with the numbers among them as 1, not 1.0
    are_codes: bool = False  # 007 or 250.10 are among them: all are texts
    same: tuple[tuple[str, str], ...] = ()  # a spelling, and the word that it stands for
    rare: tuple[tuple[str, int, Place], ...] = ()  # not listed: the word, its rows, its first cell


def categories(column: Column) -> Categories:
    """The categories of a column; none where it is a text, or has too many."""
    if column.is_open or not column.words:
        return Categories()
    are_codes = any(USUAL.fullmatch(w) is None and exact(w) is not None for w in column.words)
    counts, same = _in_one_spelling(column, are_codes)
    is_short = all(word.casefold() in SHORT for word in counts)
    kept = [word for word, count in counts.items() if count >= FEWEST or is_short]
    rare = {word: count for word, count in counts.items() if word not in kept}
    if len(kept) > MOST_CATEGORIES or sum(rare.values()) > MOST_RARE * column.present:
        return Categories()
    first = {_plain(word, are_codes): place for word, place in reversed(column.first.items())}
    return Categories(
        tuple(_sort(kept)),
        are_codes,
        tuple((other, word) for other, word in sorted(same.items()) if word in kept),
        tuple((word, count, first[word]) for word, count in rare.items()),
    )


def _plain(word: str, are_codes: bool) -> str:
    """A whole number as it is declared, so that 1 and 1.0 are one."""
    return word if are_codes or not USUAL.fullmatch(word) else str(int(word.removesuffix(".0")))


def _in_one_spelling(column: Column, are_codes: bool) -> tuple[Counter[str], dict[str, str]]:
    """Rows by word, and the other spellings of each."""
    counts, files = Counter[str](), defaultdict[str, set[int]](set)
    for word, count in column.words.items():
        counts[_plain(word, are_codes)] += count
        files[_plain(word, are_codes)] |= column.files[word]
    alike = defaultdict[str, list[str]](list)
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        alike["".join(word.casefold().split())].append(word)
    same: dict[str, str] = {}
    for first, *others in alike.values():
        for other in others:
            if _is_other_spelling(first, other, counts, files):
                same[other] = first
                counts[first] += counts.pop(other)
    return counts, same


def _is_other_spelling(
    word: str, other: str, counts: Counter[str], files: Mapping[str, set[int]]
) -> bool:
    """Single letters that stand side by side in one file, each often, are two codes: a and A."""
    is_code = len(word) == 1 and counts[other] >= FEWEST
    return not (is_code and files[word] & files[other])


def _sort(words: list[str]) -> list[str]:
    values = {word: exact(word) for word in sorted(words)}
    known = [word for word, value in values.items() if value is not None]
    known.sort(key=lambda word: values[word] or 0)
    return known + [word for word in values if word not in known]
