"""A first schema of a CSV file, for its owner to correct. It is a guess, and says so.

Ranges are rounded outwards, categories are listed only where there are few: of single rows the
draft shows nothing more.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.digits import by_scale, number_text
from calyx.errors import DataError, printable
from calyx.tasks.csv_numbers import number
from calyx.tasks.csv_rows import Dialect
from calyx.tasks.dialects import dialect_of_file, with_decimal
from calyx.tasks.tables import read_chunks, read_header
from calyx.tasks.words import exact, one_form

MOST_CATEGORIES = 20  # distinct values of a categorical column
FEW_NUMBERS = 6  # distinct whole numbers that are rather categories
SAMPLE = 200_000  # values of a column that its codes are looked for in
CODES = (0.0, -1.0, 9.0, 99.0, 999.0, 9999.0, -9.0, -99.0, -999.0, -9999.0)
REPEATED = 0.005  # share of a column's values from which on a far value is taken for a code
FAR = 1.0  # distance of a code from the others, in their range from the 1 % to the 99 % quantile
MISSING_WORDS = ("", "NA", "NaN", "nan", "?", "null", "None", "n/a", "N/A", "-")
MOST_WRITTEN = 2 * MOST_CATEGORIES  # words, where 1 and 1.0 are two ways of writing one
USUAL = re.compile(r"-?(0|[1-9][0-9]{0,299})(\.0)?")  # a whole number, as programs write it
PADDED = re.compile(r"[+-]?0[0-9]+")  # a code: numbers do not begin with 0
LONGEST_KEY = 1000  # characters of a name that YAML takes before a colon
WIDEST = 1e29  # numbers of a range, with what is to spare
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?")
THREES = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")  # a fraction, or a whole number in groups


@dataclass
class Seen:
    """What was seen of a column so far."""

    rows: int = 0
    missing: int = 0
    words: set[str] = field(default_factory=set)  # as written; at most MOST_WRITTEN + 1
    texts: int = 0  # values that are no number, or a code such as 007
    dates: int = 0
    fractions: int = 0  # values with a decimal mark
    threes: int = 0  # those that could be whole numbers in groups of three digits: 1.234
    sample: list[NDArray[np.float64]] = field(default_factory=list)
    sampled: int = 0
    low: float = math.inf
    high: float = -math.inf

    @property
    def present(self) -> int:
        """Values, in rows."""
        return self.rows - self.missing

    @property
    def is_number(self) -> bool:
        """Whether all values are numbers, and no codes."""
        return self.texts == 0 and self.present > 0

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers, as far as they were kept."""
        return self.is_number and all(map(USUAL.fullmatch, self.words))

    @property
    def is_date(self) -> bool:
        """Whether all values are dates."""
        return 0 < self.dates == self.present


def draft(path: Path) -> str:
    """A schema as YAML with comments. Raises DataError for a file that is none."""
    dialect = dialect_of_file(path, MISSING_WORDS)
    counts = Counter(read_header(path, dialect))
    seen = {name: Seen() for name, count in counts.items() if name and count == 1}
    if not seen:
        raise DataError(
            f"{path} names its columns twice, or not at all; give each its own name in the first line."
        )
    dialect = with_decimal(path, list(seen), dialect)
    for chunk in read_chunks(path, list(seen), dialect):
        for name, column in seen.items():
            _look(column, chunk.cells[name], dialect)
    if not next(iter(seen.values())).rows:
        raise DataError(f"{path} has no rows below its first line.")
    left_out = [name for name in counts if name not in seen]
    return "\n".join([*_lines(path, dialect, seen), *map(_unnamed, left_out)]) + "\n"


def _look(seen: Seen, cells: list[str | None], dialect: Dialect) -> None:
    present = [cell for cell in cells if cell is not None]
    seen.rows += len(cells)
    seen.missing += len(cells) - len(present)
    values = [number(cell, dialect) for cell in present]
    texts = [
        cell
        for cell, value in zip(present, values, strict=True)
        if value is None or PADDED.fullmatch(cell)
    ]
    finite = np.array([v for v in values if v is not None], dtype=np.float64)
    fractions = [cell for cell in present if dialect.decimal in cell]
    seen.fractions += len(fractions)
    seen.threes += sum(THREES.fullmatch(cell) is not None for cell in fractions)
    seen.texts += len(texts)
    seen.dates += sum(DATE.fullmatch(text) is not None for text in texts)
    if len(finite):
        seen.low, seen.high = min(seen.low, finite.min()), max(seen.high, finite.max())
    if seen.sampled < SAMPLE:
        seen.sample.append(finite[: SAMPLE - seen.sampled])
        seen.sampled += len(seen.sample[-1])
    if len(seen.words) <= MOST_WRITTEN:
        seen.words.update(sorted({one_form(cell) for cell in present})[: MOST_WRITTEN + 1])


def _lines(path: Path, dialect: Dialect, seen: dict[str, Seen]) -> Iterator[str]:
    target = _target(path, seen)
    yield f"# A draft from {printable(path.name, 200)}: check every line before you use it."
    yield "target:"
    yield f"  name: {_word(target)} # a guess: the last column with few values"
    if seen[target].missing:
        yield f"  # rows without a value of it: {seen[target].missing}. Take them out, or name another."
    yield from (f"  {line}" for line in _target_lines(seen[target]))
    if dialect.encoding != "utf-8":
        yield f"encoding: {dialect.encoding} # a guess, since the file is not UTF-8: look at its words"
    if dialect.delimiter != ",":
        yield f"delimiter: {_word(dialect.delimiter)}"
    if dialect.decimal != ".":
        yield f"decimal: {_word(dialect.decimal)}"
    grouped = [_word(name) for name, of in seen.items() if of.threes and of.threes == of.fractions]
    if grouped:
        yield (
            f"# {', '.join(grouped)}: does {_word(dialect.decimal)} group three digits there? Then say "
            f"thousands: {_word(dialect.decimal)} and the other mark for decimal."
        )
    yield f"missing: [{', '.join(map(_word, MISSING_WORDS))}]"
    yield "columns:"
    for name, column in seen.items():
        if name != target:
            yield from (f"  {line}" for line in _column(name, column))


def _unnamed(name: str) -> str:
    why = "stands twice in the first line" if name else "a column without a name"
    return f"  # {_word(name)}: {why}; left out"


def _target(path: Path, seen: dict[str, Seen]) -> str:
    """The last column that can be predicted, rather one without holes, and rather classes."""
    usable = {name: of for name, of in seen.items() if not of.is_date}
    classes = [name for name, of in usable.items() if _classes(of)]
    numbers = [name for name, of in usable.items() if of.is_number]
    names = [*numbers, *classes]
    whole = [name for name in names if not usable[name].missing]
    if not names:
        raise DataError(
            f"{path} has no column that could be predicted: each has one value or none, dates, or text "
            "with many values. Bring the answer into a column."
        )
    return (whole or names)[-1]


def _classes(of: Seen) -> list[str]:
    """The words of a column that may be classes; none for numbers with fractions."""
    words = [] if of.is_number and not of.is_whole else _words(of)
    return words if len(words) >= 2 else []


def _target_lines(of: Seen) -> Iterator[str]:
    if _classes(of):
        yield f"classes: [{', '.join(_classes(of))}]"
        return
    values = np.concatenate(of.sample)
    largest = float(np.abs(values).max()) or 1.0  # the squares of 1e200 are beyond all numbers
    scale = float(number_text(float(np.std(values / largest)) * largest or 1.0, 6))
    # Rounded by the scale: 2,450,012 with a scale of 30 is not 2.45e+06.
    center = float(by_scale(float(np.mean(values / largest)) * largest, scale))
    yield f"center: {_short(center)} # a typical value"
    yield f"scale: {_short(scale)} # a typical distance from it"


def _column(name: str, of: Seen) -> Iterator[str]:
    key, end = _word(name), ", may_be_missing: true" if of.missing else ""
    begin = f"{key}:" if len(key) < LONGEST_KEY else f"? {key}\n  :"
    words = _words(of)
    if of.present == 0:
        yield f"# {key}: no value in any row"
    elif of.is_date:
        yield (
            f"# {key}: dates; left out. Make a number of them, such as days or years, or see time in "
            "docs/bring-your-own.md"
        )
    elif not of.is_number and not words:
        yield f"# {key}: text with many values, or numbers with text among them; left out"
    elif not of.is_number or (of.is_whole and 0 < len(words) <= FEW_NUMBERS):
        yield f"{begin} {{kind: categorical, categories: [{', '.join(words)}]{end}}}"
    else:
        values = np.concatenate(of.sample)
        found = codes_in(values)
        others = values[~np.isin(values, found)]
        low, high = (others.min(), others.max()) if found else (of.low, of.high)
        bounds, codes = "", ""
        if max(abs(low), abs(high)) < WIDEST:
            low, high = outwards(float(low), float(high))
            bounds = f", low: {_short(low)}, high: {_short(high)}"
        if found:
            listed = ", ".join(map(_short, found))
            yield f"# {key}: {listed} stands often, and far from the rest: a code for missing?"
            codes, end = f", missing: [{listed}]", ", may_be_missing: true"
        yield f"{begin} {{kind: numeric{bounds}{codes}{end}}}"


def codes_in(values: NDArray[np.float64]) -> list[float]:
    """Those of the usual codes that stand repeatedly, and far from all other values [N]."""
    found: list[float] = []
    for code in CODES:
        is_code = values == code
        others = values[~is_code & ~np.isin(values, found)]
        if is_code.sum() < max(3, REPEATED * len(values)) or len(others) < 10:
            continue
        low, high = np.quantile(others, [0.01, 0.99])
        gap = min(abs(others - code).min(), 1e300)
        # Nothing between the code and the rest, and a gap as wide as what a value is used to.
        if (code < others.min() or code > others.max()) and gap >= FAR * (high - low) / 4:
            found.append(code)
    return found


def outwards(low: float, high: float) -> tuple[float, float]:
    """A round range that holds both, with an eighth of their distance to spare on each side."""
    reach = max(high - low, 1e-9 * max(abs(low), abs(high)))
    reach = reach if reach > 1e-290 else 1e-9
    unit = 10.0 ** math.floor(math.log10(reach / 10))
    below, above = low - reach / 8, high + reach / 8
    if low >= 0 > below:
        below = 0.0
    return math.floor(below / unit) * unit, math.ceil(above / unit) * unit


def _words(of: Seen) -> list[str]:
    """A column's words as YAML, sorted; none where there are more than MOST_CATEGORIES.

    Whole numbers are declared as such, without quotes, so that a site's 1.0 is 1. Where a word is
    another way of writing a number, such as 007 or 250.10, all are codes, and texts.
    """
    if len(of.words) > MOST_WRITTEN:
        return []
    numbers = {word for word in of.words if USUAL.fullmatch(word)}
    texts = of.words - numbers
    if any(exact(word) is not None for word in texts):
        found = [_word(word) for word in _sorted(of.words)]
    else:
        whole = sorted({int(word.removesuffix(".0")) for word in numbers})
        found = [*map(str, whole), *map(_word, sorted(texts))]
    return found if len(found) <= MOST_CATEGORIES else []


def _sorted(words: set[str]) -> list[str]:
    values = {word: exact(word) for word in sorted(words)}
    known = [word for word, value in values.items() if value is not None]
    return [
        *sorted(known, key=lambda word: values[word] or 0),
        *(w for w in values if w not in known),
    ]


def _short(value: float) -> str:
    """With all digits that tell values apart, and as YAML reads a number: 1e+06 is a text to it."""
    text = f"{value:.15g}"
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


def _word(text: str) -> str:
    """As YAML reads it back as the same text: JSON's strings are YAML's, if all is printable."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in written)
