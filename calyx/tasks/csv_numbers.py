"""Cells as numbers, in the one way of writing that a schema says.

A number has digits from 0 to 9, and a sign, the decimal mark and an exponent where it needs them;
groups of three digits only with a declared mark. Nothing else is one.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calyx.errors import printable
from calyx.tasks.csv_rows import Dialect

SIGNS = frozenset("0123456789+-.eE")  # of these alone Python's float takes nothing but numbers
SPACES = " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}\N{FIGURE SPACE}"
MARKS = {",": ",", ".": ".", "'": "'\N{RIGHT SINGLE QUOTATION MARK}", " ": SPACES}
UNIT = re.compile(r"^[$€£¥] *| *[%°€$£¥a-zA-Zµ/]+$")  # what is no part of a number: $ 5, 5 %
UNSEEN = ("Zs", "Cf", "Pd", "Sm", "Nd", "Co", "Cn")  # spaces, dashes, digits …, in Unicode


def numbers(cells: Sequence[str | None], dialect: Dialect) -> NDArray[np.float64]:
    """The cells [N] as numbers, NaN for missing and infinite for what is no number."""
    texts = [cell for cell in cells if cell is not None]
    found = _at_once(texts, dialect)
    if found is None:
        values = (number(text, dialect) for text in texts)
        found = [math.inf if value is None else value for value in values]
    if len(found) == len(cells):
        return np.array(found, dtype=np.float64)
    values_of = iter(found)
    return np.array([math.nan if cell is None else next(values_of) for cell in cells])


def number(text: str, dialect: Dialect) -> float | None:
    """A text as a number; None if it is none, or beyond all of them."""
    marks = MARKS[dialect.thousands] if dialect.thousands else ""
    if any(mark in text for mark in marks):
        start = re.match(rf"[+-]?[1-9][0-9]{{0,2}}([{re.escape(marks)}][0-9]{{3}})+(?![0-9])", text)
        if not start:
            return None
        text = re.sub(f"[{re.escape(marks)}]", "", start.group()) + text[start.end() :]
    found = _at_once([text], replace(dialect, thousands=None) if marks else dialect)
    return found[0] if found and math.isfinite(found[0]) else None


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


def no_number(text: str, dialect: Dialect) -> str:
    """What is said of a text that is none: as it is written, and what in the schema would help."""
    shown = f"{printable(text, 40)!r}{_odd(text)} is no number"
    if _at_once([text], dialect):
        return f"{printable(text, 40)!r} is beyond the largest number; mend it"
    if dialect.decimal == "," and "." in text:
        shown += ' with decimal: ","'
    keys = [
        f'{key}: "{mark}"'
        for key, marks in (("thousands", MARKS), ("decimal", ",."))
        for mark in marks
        if _would_read(text, dialect, key, mark)
    ]
    if keys:
        return f"{shown}; say {' or '.join(keys)} in the schema if that is how the file is written"
    alone = UNIT.sub("", text)
    if alone != text and number(alone, dialect) is not None:
        return f"{shown}; write the number alone, its unit belongs into the schema"
    return f"{shown}; mend it, or list it under `missing` in the schema"


def _would_read(text: str, dialect: Dialect, key: str, mark: str) -> bool:
    if key == "decimal":
        return number(text, Dialect(decimal=mark)) is not None
    return mark != dialect.decimal and number(text, replace(dialect, thousands=mark)) is not None


def _odd(text: str) -> str:
    """Which sign of the text a reader would take for another, or not see at all."""
    for sign in text:
        if not sign.isprintable() or (not sign.isascii() and unicodedata.category(sign) in UNSEEN):
            name = unicodedata.name(sign, "sign without a name").lower()
            return f" (it holds a {name}, U+{ord(sign):04X})"
    return ""
