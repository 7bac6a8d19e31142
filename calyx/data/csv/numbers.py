"""Cells as numbers, in the one way of writing that a schema says.

A number has digits from 0 to 9, and a sign, the decimal mark and an exponent where it needs them;
groups of three digits only with a declared mark. A declared unit may stand before or after it, and
changes nothing: 45 % is 45. Nothing else is one. See docs/decisions/0050.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calyx.data.csv.rows import Dialect
from calyx.data.words import LONGEST
from calyx.errors import printable

SIGNS = frozenset("0123456789+-.eE")  # of these alone Python's float takes nothing but numbers
SPACES = " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}\N{FIGURE SPACE}"
MARKS = {",": ",", ".": ".", "'": "'\N{RIGHT SINGLE QUOTATION MARK}", " ": SPACES}
TWINS = (  # signs that look alike
    "µ\N{GREEK SMALL LETTER MU}",
    "°\N{MASCULINE ORDINAL INDICATOR}",
    "¥\N{FULLWIDTH YEN SIGN}",
)
UNIT = re.compile(  # what may be one: $ 5, EUR 5, 5 %
    rf"^[$€£¥₹][{SPACES}]*|^[A-Za-z]{{2,4}}[{SPACES}]+|[{SPACES}]*[%‰°€$£¥₹a-zA-Zµ/]+$"
)
UNSEEN = ("Zs", "Cf", "Pd", "Sm", "Nd", "Co", "Cn")  # spaces, dashes, digits …, in Unicode


def numbers(cells: Sequence[str | None], dialect: Dialect, unit: str = "") -> NDArray[np.float64]:
    """The cells [N] as numbers, NaN for missing and infinite for what is no number."""
    texts = [cell for cell in cells if cell is not None]
    parsed = _at_once(texts, dialect)
    if parsed is None and unit:
        texts = [_alone(text, unit) for text in texts]
        parsed = _at_once(texts, dialect)
    if parsed is None:
        values = (number(text, dialect) for text in texts)
        parsed = [math.inf if value is None else value for value in values]
    if len(parsed) == len(cells):
        return np.array(parsed, dtype=np.float64)
    values_of = iter(parsed)
    return np.array([math.nan if cell is None else next(values_of) for cell in cells])


def number(text: str, dialect: Dialect, unit: str = "") -> float | None:
    """A text as a number; None if it is none, or beyond all of them."""
    text = _alone(text, unit) if unit else text
    marks = MARKS[dialect.thousands] if dialect.thousands else ""
    if any(mark in text for mark in marks):
        start = re.match(rf"[+-]?[1-9][0-9]{{0,2}}([{re.escape(marks)}][0-9]{{3}})+(?![0-9])", text)
        if not start:
            return None
        text = re.sub(f"[{re.escape(marks)}]", "", start.group()) + text[start.end() :]
    parsed = _at_once([text], replace(dialect, thousands=None) if marks else dialect)
    return parsed[0] if parsed and math.isfinite(parsed[0]) else None


def _at_once(texts: Sequence[str], dialect: Dialect) -> list[float] | None:
    signs = set("".join(texts))
    if dialect.thousands is not None or not signs <= SIGNS - {"."} | {dialect.decimal}:
        return None
    if dialect.decimal in signs and dialect.decimal != ".":
        texts = [text.replace(dialect.decimal, ".") for text in texts]
    try:
        return list(map(float, texts))
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _with_unit(unit: str) -> re.Pattern[str] | None:
    """A cell that has the unit; None of a unit that could be part of a number, such as 1 or e."""
    if set(unit) <= SIGNS | set("".join(MARKS.values())):
        return None
    written, blank = re.escape(unit), f"[{SPACES}]"
    for twins in TWINS:
        written = re.sub(f"[{twins}]", f"[{twins}]", written)
    # Rs.500 is not .500 of the unit Rs; and 5 and 10^9/L have a blank between them.
    begins = "[0-9]" if unit[-1].isalnum() or unit[-1] == "." else "[0-9.,]"
    before = f"{blank}+" if unit[-1].isdigit() else f"{blank}*"
    after = f"{blank}+" if unit[0] in SIGNS - {*"eE"} else f"{blank}*"
    return re.compile(rf"([+-]?){written}{before}([+-]?{begins}.*)|(.*[^{SPACES}]){after}{written}")


def _alone(text: str, unit: str) -> str:
    """A cell's number as it is written, without the unit; the cell itself where it has none."""
    form = _with_unit(unit) if len(text) <= LONGEST + len(unit) else None
    match = form.fullmatch(unicodedata.normalize("NFC", text)) if form else None
    if match is None:
        return text
    sign, last, first = match.groups()
    return first or sign + last


def no_number(text: str, dialect: Dialect, unit: str = "") -> str:
    """What is said of a text that is none: as it is written, and what in the schema would help."""
    shown = f"{printable(text, 40)!r}{_odd(text)} is no number"
    alone = _alone(text, unit) if unit else text
    if _at_once([alone], dialect):
        return f"{printable(text, 40)!r} is beyond the largest number; mend it"
    if dialect.decimal == "," and "." in text:
        shown += ' with decimal: ","'
    keys = _keys(alone, dialect)
    if keys:
        return f"{shown}; say {' or '.join(keys)} in the schema if that is how the file is written"
    bare = UNIT.sub("", alone, count=1) if len(alone) <= LONGEST else ""
    other = alone.replace(bare, "", 1).strip(SPACES) if bare else ""
    keys = _keys(bare, dialect) if other and _with_unit(other) else []
    if not keys:
        return f"{shown}; mend it, or list it under `missing` in the schema"
    if unit:
        return f"{shown} in the column's unit, {printable(unit, 20)}; convert it, and mend the cell"
    more = f", and {' or '.join(keys)}," if keys[0] else ""
    return f'{shown}; say unit: "{other}"{more} in the schema if that is how the file is written'


def _keys(text: str, dialect: Dialect) -> list[str]:
    """What would read a text, with the fewest keys changed: [""] where nothing need be changed."""
    marks = [m for m, signs in MARKS.items() if any(sign in text for sign in signs)]
    keys = list[tuple[int, str]]()
    for decimal in (dialect.decimal, "," if dialect.decimal == "." else "."):
        for thousands in dict.fromkeys([dialect.thousands, *marks, None]):
            way = replace(dialect, decimal=decimal, thousands=thousands)
            if thousands == decimal or number(text, way) is None:
                continue
            said = [f'decimal: "{decimal}"'] * (decimal != dialect.decimal)
            if thousands != dialect.thousands:
                said.append(f'thousands: "{thousands}"' if thousands else "thousands: null")
            keys.append((len(said), " and ".join(said)))
    least = min(keys, default=(0, ""))[0]
    return [said for count, said in keys if count == least]


def _odd(text: str) -> str:
    """Which sign of the text a reader would take for another, or not see at all."""
    for sign in text:
        if not sign.isprintable() or (not sign.isascii() and unicodedata.category(sign) in UNSEEN):
            name = unicodedata.name(sign, "sign without a name").lower()
            return f" (it holds a {name}, U+{ord(sign):04X})"
    return ""
