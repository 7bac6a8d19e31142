"""Numbers for people: with the digits that tell them apart, and no others. Pure.

One number by itself, then those of one column, then a mean ± its standard deviation. What tells two
values apart is the scale on which they differ, not their magnitude: day 2,450,012 and day 2,450,031
are not both 2.45e+06. No text here is rounded more coarsely than it says, and only what is very
large or very small is written with an exponent. What is read by a program, in JSON, is never
rounded: this is for texts only.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import mean, stdev

ABSENT = "—"
THIN = "\u202f"  # narrow no-break space, between a number and its unit
RESOLUTION = 1e-4  # of a scale: a step of a text is at most this share of it
SIGNIFICANT = 6  # digits of a prediction at least
MOST_DIGITS = 17  # of a float64
FEWEST = 4  # significant digits of a figure at least
_LARGE, _SMALL = 15, -6  # powers of ten from which on a number has an exponent
_NOISE = 1e-12  # what is nearer to 1 than this is 1, and no merit


def format_fixed(value: float, decimals: int, comma: str = "") -> str:
    """`value` to so many decimals, which may be below 0 for tens, hundreds and so on.

    Integers stay whole: the digits before the point are never rounded, and `comma` (“,” or nothing)
    stands between thousands. From 10^15 on, and below 10^-6, it is written with an exponent and no
    fewer digits. NaN and infinity are "—".
    """
    if not math.isfinite(value):
        return ABSENT
    power = _power(value)
    if value == 0 or _SMALL <= power < _LARGE:
        if value == 0 and decimals > _LARGE:
            return "0"
        known = MOST_DIGITS - 1 - power  # further ones would be the float's own
        text = f"{value:{comma}.{max(0, min(decimals, known))}f}"
        return text.removeprefix("-") if _read(text) == 0 else text
    digits = min(max(1, power + decimals + 1), MOST_DIGITS)
    return f"{value:.{digits - 1}e}"


def by_scale(value: float, scale: float, *, digits: int = SIGNIFICANT) -> str:
    """`value` in steps of at most a ten-thousandth of `scale`, with `digits` significant ones at least.

    A scale that is 0 or not finite says nothing: then the digits that are significant are all.
    """
    return format_fixed(value, max(step_decimals(scale * RESOLUTION), decimals_of(value, digits)))


def with_spread(value: float, spread: float) -> str:
    """`value` in steps of at most a hundredth of `spread`, its standard deviation; all where that is 0."""
    return format_fixed(value, step_decimals(spread / 100)) if spread > 0 else plain(value)


def number_text(value: float | None, digits: int = FEWEST) -> str:
    """A number with so many significant digits at least, and all before the point; a dash for None."""
    return ABSENT if value is None else format_fixed(value, decimals_of(value, digits))


def count_text(value: float | None) -> str:
    """A mean of counts: one decimal, none where it is whole; a dash for None."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return format_fixed(value, 0 if value == round(value) else 1, ",")


def outside(low: float | None, high: float | None) -> str:
    """Where values lie that a range does not hold: "outside 0 … 5", "below 0", "above 5"."""
    if low is None or high is None:
        return f"above {plain(high)}" if high is not None else f"below {plain(low or 0.0)}"
    return f"outside {plain(low)} … {plain(high)}"


def plain(value: float) -> str:
    """All that a person wrote: a code, a bound, a category, without ".0"; an infinite bound is "inf"."""
    text = f"{value:.15g}"
    return text if float(text) == value else repr(float(value))


def share(value: float, least: int = 3) -> str:
    """An accuracy or R² to `least` decimals, and to two digits of what is missing to 1 or 0.

    0.9 is "0.900", 0.99996 is "0.999960", and never "1.000".
    """
    return format_fixed(value, _share_decimals(value, least))


def percent_text(value: float | None, unit: str = f"{THIN}%") -> str:
    """A share in percent with one decimal, more as `share` has more; a dash for None."""
    return (
        ABSENT if value is None else format_fixed(100 * value, _share_decimals(value, 3) - 2) + unit
    )


def number_texts(values: Sequence[float | None]) -> list[str]:
    """Each value with at least four significant digits, and more where two would look equal.

    A dash stands for None and for what is not finite.
    """
    return _texts(values, lambda v, more: format_fixed(v, _of_column(v, FEWEST + more), ","))


def count_texts(values: Sequence[float | None]) -> list[str]:
    """Each of them by itself: two means of counts may look equal."""
    return [count_text(value) for value in values]


def percent_texts(shares: Sequence[float | None], unit: str = " %") -> list[str]:
    """Shares of one in percent: as `percent_text`, and with more decimals where two would look equal."""

    def written(percent: float, more: int) -> str:
        return format_fixed(percent, max(1 + more, _share_decimals(percent / 100, 3) - 2))

    texts = _texts([None if share is None else 100 * share for share in shares], written)
    return [text if text == ABSENT else f"{text}{unit}" for text in texts]


def apart(values: Iterable[float], least: int = 3, most: int = 6) -> int:
    """How many decimals, `least` to `most`, shares need so that no two different ones read alike."""
    known = sorted({round(v, most) for v in values if math.isfinite(v)})
    decimals = least + _more(known, lambda v, more: format_fixed(v, least + more), most - least)
    return max([decimals, *(_share_decimals(v, decimals) for v in known)])


def spread_of(values: Iterable[float | None]) -> float:
    """How far apart values are that stand in one column, greatest − least; 0.0 of fewer than two."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    return max(known) - min(known) if known else 0.0


def in_column(value: float | None, spread: float) -> str:
    """A figure of a column whose values are `spread` apart: a hundredth of it shows, 4 digits at least."""
    if value is None:
        return ABSENT
    return format_fixed(value, max(decimals_of(value, 4), min(step_decimals(spread / 100), 15)))


def spread_texts(
    samples: Sequence[Sequence[float]],
    shown: Callable[[Sequence[float | None]], list[str]] = number_texts,
) -> list[str]:
    """The mean ± sample standard deviation of each sample; only the mean of one value, a dash of none.

    Where all values are one whole number, and are written as one, it stands alone: 6, and not 6 ± 0.
    """
    texts = shown([mean(one) if one else None for one in samples])
    return [_with_deviation(text, one) for text, one in zip(texts, samples, strict=True)]


def deviation_text(deviation: float, beside: str) -> str:
    """A standard deviation with the decimals and the unit of the mean that it stands beside.

    It has two significant digits at least, so that one that is not 0 never reads as 0; one that is
    0 is 0 in any number of decimals, and has none.
    """
    number, unit = _parts(beside)
    value = 100 * deviation if unit.strip() == "%" else deviation
    decimals = 0 if value == 0 or "e" in number else len(number.partition(".")[2])
    return format_fixed(value, max(decimals, decimals_of(value, 2) if value else 0), ",") + unit


def shorten_values(values: Sequence[str]) -> dict[str, str]:
    """A key's values for a table: numbers of many digits with fewer, as long as all still differ."""
    different = list(dict.fromkeys(values))
    for digits in range(FEWEST, MOST_DIGITS):
        shortened = {value: _fewer(value, digits) for value in different}
        if len({_as_number(text) for text in shortened.values()}) == len(different):
            return shortened
    return {value: value for value in different}


def step_decimals(step: float) -> int:
    """The decimals of a text in steps of at most `step`; below 0 where tens or more are enough."""
    if not (step > 0 and math.isfinite(step)):
        return -400
    return -math.floor(math.log10(step) + 1e-9)


def decimals_of(value: float, digits: int) -> int:
    """The decimals at which `value` has so many significant digits; below 0 for large ones."""
    return digits - 1 - _power(value) if value and math.isfinite(value) else 0


def _power(value: float) -> int:
    """The power of ten of the first digit; 0 of 0."""
    return math.floor(math.log10(abs(value))) if value else 0


def _of_column(value: float, digits: int) -> int:
    """As `decimals_of`; a 0 in a column has the decimals of a number of 1 to 9."""
    return decimals_of(value, digits) if value else digits - 1


def _share_decimals(value: float, least: int) -> int:
    if not math.isfinite(value):
        return least
    missing = min(abs(value), abs(1 - value))
    if missing >= 10.0**-least or missing < _NOISE:
        return least
    return max(least, 1 - _power(missing))


def _texts(values: Sequence[float | None], written: Callable[[float, int], str]) -> list[str]:
    """Each value as `written` with as few digits more as tell all of them apart."""
    known = sorted({v for v in values if v is not None and math.isfinite(v)})
    more = _more(known, written, MOST_DIGITS - FEWEST)
    return [ABSENT if v is None or not math.isfinite(v) else written(v, more) for v in values]


def _more(known: Sequence[float], written: Callable[[float, int], str], most: int) -> int:
    """How many digits more, at most `most`, so that sorted values that differ are seen to.

    A gap that rounding has halved or doubled misleads as one that it has closed.
    """
    for more in range(most):
        shown = [_read(written(value, more)) for value in known]
        gaps = zip(pairwise(known), pairwise(shown), strict=True)
        if all((b - a) / 2 <= d - c <= 2 * (b - a) for (a, b), (c, d) in gaps):
            return more
    return most


def _with_deviation(text: str, sample: Sequence[float]) -> str:
    if len(sample) < 2:
        return text
    deviation = stdev(sample)
    whole = text.replace(",", "")
    is_whole = deviation == 0 and whole.removeprefix("-").isdigit() and float(whole) == sample[0]
    return text if is_whole else f"{text} ± {deviation_text(deviation, text)}"


def _parts(text: str) -> tuple[str, str]:
    """A number and its unit, with the space before it."""
    number = (text.split() or [""])[0]
    return number, text[len(number) :]


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


def _read(text: str) -> float:
    return float(text.replace(",", ""))
