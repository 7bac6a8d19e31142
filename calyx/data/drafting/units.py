"""Signs and words that stand before or after a number in a cell: `$ 5`, `45 %`, `70 kg`.

For a draft, which names the unit that it sees; cells are read by the schema's `unit` alone.
"""

import re

_MONEY = r"[$€£¥₹]|USD|EUR|GBP|CHF|JPY|CAD|AUD"
_KNOWN = r"%|‰|°[CF]?|kg|g|mg|µg|km|m|cm|mm|mi|ft|in|lbs?|oz|ml|mL|l|L|dl|dL|mmHg|bpm|kWh|kW|W|h|min|s|ms"
_DIGITS = r"[0-9](?:[0-9.,'\u2019\u00a0\u202f\u2009 ]*[0-9])?(?:[eE][+-]?[0-9]+)?"
_BLANK = r"[ \u00a0\u202f]"
_FORM = re.compile(
    rf"(?P<sign>[+-]?)(?:(?P<before>{_MONEY}){_BLANK}*)?(?P<number>[+-]?{_DIGITS})"
    rf"(?:{_BLANK}*(?P<known>{_MONEY}|{_KNOWN})|{_BLANK}+(?P<word>[A-Za-zµ°][A-Za-zµ°/²³]{{0,15}}))?"
)


def is_usual(unit: str) -> bool:
    """Whether it is a sign or word of money or measure, which tells nothing of anybody."""
    return re.fullmatch(rf"{_MONEY}|{_KNOWN}", unit) is not None


def without_unit(text: str) -> tuple[str, str] | None:
    """A cell's number as it is written, and its unit; None of what has no unit, or two."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    named = [unit for unit in (form["before"], form["known"], form["word"]) if unit]
    is_exponent = named[:1] in (["e"], ["E"])  # 5 e is no number of a unit
    if len(named) != 1 or is_exponent or (form["sign"] and form["number"][0] in "+-"):
        return None
    return form["sign"] + form["number"], named[0]
