"""Numbers for people: with the digits that tell them apart, and no others.

What tells two values apart is the scale on which they differ, not their magnitude: day 2,450,012
and day 2,450,031 are not both 2.45e+06. No text here is rounded more coarsely than it says, and
only what is very large or very small is written with an exponent. What is read by a program, in
JSON, is never rounded: this is for texts only.
"""

import math
from collections.abc import Iterable

ABSENT = "—"
RESOLUTION = 1e-4  # of a scale: a step of a text is at most this share of it
SIGNIFICANT = 6  # digits of a prediction at least
MOST_DIGITS = 17  # of a float64
_LARGE, _SMALL = 15, -6  # powers of ten from which on a number has an exponent
_NOISE = 1e-12  # what is nearer to 1 than this is 1, and no merit


def fixed(value: float, decimals: int) -> str:
    """`value` to so many decimals, which may be below 0 for tens, hundreds and so on.

    Integers stay whole: the digits before the point are never rounded. From 10^15 on, and below
    10^-6, it is written with an exponent and no fewer digits. NaN and infinity are "—".
    """
    if not math.isfinite(value):
        return ABSENT
    power = _power(value)
    if value == 0 or _SMALL <= power < _LARGE:
        if value == 0 and decimals > _LARGE:
            return "0"
        known = MOST_DIGITS - 1 - power  # further ones would be the float's own
        text = f"{value:.{max(0, min(decimals, known))}f}"
        return text.removeprefix("-") if float(text) == 0 else text
    digits = min(max(1, power + decimals + 1), MOST_DIGITS)
    return f"{value:.{digits - 1}e}"


def by_scale(value: float, scale: float, *, digits: int = SIGNIFICANT) -> str:
    """`value` in steps of at most a ten-thousandth of `scale`, with `digits` significant ones at least.

    A scale that is 0 or not finite says nothing: then the digits that are significant are all.
    """
    return fixed(value, max(_decimals(scale * RESOLUTION), decimals_of(value, digits)))


def with_spread(value: float, spread: float) -> str:
    """`value` in steps of at most a hundredth of `spread`, its standard deviation; all where that is 0."""
    return fixed(value, _decimals(spread / 100)) if spread > 0 else plain(value)


def mean_text(mean: float, sd: float) -> str:
    """Both of "mean ± sd", to the same decimals: three digits of the deviation."""
    return f"{with_spread(mean, sd)} ± {with_spread(sd, sd)}"


def significant(value: float, digits: int = 4) -> str:
    """`value` with so many significant digits at least, and whole before the point: a loss, a spread."""
    return fixed(value, decimals_of(value, digits))


def plain(value: float) -> str:
    """All that a person wrote: a code, a bound, a category, without ".0"; an infinite bound is "inf"."""
    text = f"{value:.15g}"
    return text if float(text) == value else repr(float(value))


def share(value: float, least: int = 3) -> str:
    """An accuracy or R² to `least` decimals, and to two digits of what is missing to 1 or 0.

    0.9 is "0.900", 0.99996 is "0.999960", and never "1.000".
    """
    return fixed(value, _share_decimals(value, least))


def percent(value: float, unit: str = "\u202f%") -> str:
    """A share in percent with one decimal, more as `share` has more."""
    return fixed(100 * value, _share_decimals(value, 3) - 2) + unit


def apart(values: Iterable[float], least: int = 3, most: int = 6) -> int:
    """So many decimals of shares, `least` to `most`, that no two different ones read alike."""
    known = sorted({round(v, most) for v in values if math.isfinite(v)})
    for decimals in range(least, most):
        if len({f"{v:.{decimals}f}" for v in known}) == len(known):
            return max([decimals, *(_share_decimals(v, decimals) for v in known)])
    return most


def spread_of(values: Iterable[float | None]) -> float:
    """How far apart values are that stand in one column, greatest − least; 0.0 of fewer than two."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    return max(known) - min(known) if known else 0.0


def in_column(value: float | None, spread: float) -> str:
    """A figure of a column whose values are `spread` apart: a hundredth of it shows, 4 digits at least."""
    if value is None:
        return ABSENT
    return fixed(value, max(decimals_of(value, 4), min(_decimals(spread / 100), 15)))


def _power(value: float) -> int:
    """The power of ten of the first digit; 0 of 0."""
    return math.floor(math.log10(abs(value))) if value else 0


def _decimals(step: float) -> int:
    """The decimals of a text in steps of at most `step`; below 0 where tens or more are enough."""
    if not (step > 0 and math.isfinite(step)):
        return -400
    return -math.floor(math.log10(step) + 1e-9)


def decimals_of(value: float, digits: int) -> int:
    """The decimals at which `value` has so many significant digits; below 0 for large ones."""
    return digits - 1 - _power(value) if value and math.isfinite(value) else 0


def _share_decimals(value: float, least: int) -> int:
    if not math.isfinite(value):
        return least
    missing = min(abs(value), abs(1 - value))
    if missing >= 10.0**-least or missing < _NOISE:
        return least
    return max(least, 1 - _power(missing))
