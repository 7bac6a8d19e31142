"""Numbers of one column with the digits that tell them apart. Pure."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import mean, stdev

ABSENT = "—"
_FEWEST, _MOST = 4, 17  # significant digits; 17 tell any two floats apart
_HUGE, _TINY = 1e15, 1e-6  # beyond these a number is written with an exponent


def number_texts(values: Sequence[float | None], suffix: str = "") -> list[str]:
    """Each value with at least four significant digits, and more where two would look equal.

    A dash stands for None and for what is not finite. `suffix` follows every number.
    """
    return [ABSENT if text is None else f"{text}{suffix}" for text in _apart(values, _significant)]


def percent_texts(shares: Sequence[float | None], unit: str = " %") -> list[str]:
    """Shares of one in percent: one decimal, and more where two would look equal."""
    hundredfold = [None if share is None else 100 * share for share in shares]
    found = _apart(hundredfold, lambda value, digits: f"{value:.{digits - _FEWEST + 1}f}")
    return [ABSENT if text is None else f"{text}{unit}" for text in found]


def count_text(value: float | None) -> str:
    """A mean of counts: one decimal, none where it is whole."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def spread_texts(
    samples: Sequence[Sequence[float]],
    shown: Callable[[Sequence[float | None]], list[str]] = number_texts,
) -> list[str]:
    """Of each sample its mean ± sample standard deviation; of one value only that, of none a dash."""
    means = [mean(one) if one else None for one in samples]
    return [
        text if len(one) < 2 else f"{text} ± {deviation_text(stdev(one), text)}"
        for one, text in zip(samples, shown(means), strict=True)
    ]


def deviation_text(deviation: float, beside: str) -> str:
    """A standard deviation with the decimals and the unit of the mean that it stands beside.

    One that is not 0 never reads as 0: it has two significant digits then.
    """
    number = beside.split()[0] if beside.split() else ""
    unit = beside[len(number) :]
    factor = 100.0 if unit.strip() == "%" else 1.0
    value = factor * deviation
    decimals = len(number.partition(".")[2]) if "e" not in number else None
    text = f"{value:.1e}" if decimals is None else f"{value:,.{decimals}f}"
    if value > 0 and float(text.replace(",", "")) == 0:
        text = f"{value:.2g}"
    return f"{text}{unit}"


def shortened(values: Sequence[str]) -> dict[str, str]:
    """A key's values for a table: numbers of many digits with fewer, as long as all still differ."""
    different = list(dict.fromkeys(values))
    for digits in range(_FEWEST, _MOST):
        found = {value: _fewer(value, digits) for value in different}
        if len({_as_number(text) for text in found.values()}) == len(different):
            return found
    return {value: value for value in different}


def _fewer(value: str, digits: int) -> str:
    number = _as_number(value)
    if isinstance(number, str) or len(value) < 8 or not math.isfinite(number):
        return value
    text = f"{number:.{digits}g}"
    return text if len(text) < len(value) else value


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _apart(
    values: Sequence[float | None], written: Callable[[float, int], str]
) -> list[str | None]:
    known = sorted({v + 0.0 for v in values if v is not None and math.isfinite(v)})  # -0.0 is 0.0
    digits = _FEWEST
    for digits in range(_FEWEST, _MOST + 1):
        shown = [_read(written(value, digits)) for value in known]
        gaps = zip(pairwise(known), pairwise(shown), strict=True)
        # A gap that rounding has halved or doubled misleads as one that it has closed.
        if all((b - a) / 2 <= d - c <= 2 * (b - a) for (a, b), (c, d) in gaps):
            break
    return [None if v is None or not math.isfinite(v) else written(v + 0.0, digits) for v in values]


def _read(text: str) -> float:
    return float(text.replace(",", ""))


def _significant(value: float, digits: int) -> str:
    size = abs(value)
    if size and not _TINY <= size < _HUGE:
        return f"{value:.{digits - 1}e}"
    whole = math.floor(math.log10(size)) if size else 0
    return f"{value:,.{max(0, digits - 1 - whole)}f}"
