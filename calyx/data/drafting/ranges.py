"""Numbers of a draft that tell of no single row: rounded ranges, codes for missing, a typical value."""

import math

import numpy as np
from numpy.typing import NDArray

CODES = (0.0, -1.0, 9.0, 99.0, 999.0, 9999.0, -9.0, -99.0, -999.0, -9999.0)
REPEATED = 0.005  # share of a column's values from which on a far value is taken for a code
FAR = 1.0  # distance of a code from the others, in their range from the 1 % to the 99 % quantile
WIDEST = 1e29  # numbers of a range, with what is to spare


def codes_in(values: NDArray[np.float64], fewest: int = 3) -> list[float]:
    """The usual codes for "missing" that stand repeatedly, and far from all other values [N]."""
    codes: list[float] = []
    for code in CODES:
        is_code = values == code
        others = values[~is_code & ~np.isin(values, codes)]
        if is_code.sum() < max(fewest, REPEATED * len(values)) or len(others) < 10:
            continue
        low, high = np.quantile(others, [0.01, 0.99])
        gap = min(abs(others - code).min(), 1e300)
        # Nothing between the code and the rest, and a gap as wide as what a value is used to.
        if (code < others.min() or code > others.max()) and gap >= FAR * (high - low) / 4:
            codes.append(code)
    return codes


def outwards(low: float, high: float) -> tuple[float, float]:
    """A round range that holds both, with an eighth of their distance and more to spare on each side.

    Its steps (1, 2 or 5 and zeros) are so coarse, a fifth of the distance at least, that the two
    cannot be reckoned back from it. Numbers of one sign stay so: 0 is then an end.
    """
    reach = max(high - low, 1e-9 * max(abs(low), abs(high)))
    reach = reach if reach > 1e-290 else 1e-9
    unit = _round_step(reach / 2)
    below = 0.0 if low >= 0 > low - reach / 8 else low - reach / 8
    above = 0.0 if low < 0 and high <= 0 < high + reach / 8 else high + reach / 8
    return math.floor(below / unit) * unit, math.ceil(above / unit) * unit


def _round_step(most: float) -> float:
    """The largest of 1, 2, 5, 10, 20 … that is not above `most` (> 0)."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most or step == 1)


def typical(values: NDArray[np.float64]) -> tuple[str, str]:
    """A typical value of a target [N] and a typical distance from it, as YAML has them.

    In round steps of an eighth of the distance or more: from a mean and a number of rows, before and
    after one row came, that row could be reckoned.
    """
    largest = float(np.abs(values).max()) or 1.0  # the squares of 1e200 are beyond all numbers
    scale = max(float(np.std(values / largest)) * largest, 1e-290) if np.ptp(values) else 1.0
    step = _round_step(scale / 4)
    center = float(np.mean(values / largest)) * largest
    return short(round(center / step) * step), short(round(scale / step) * step)


def short(value: float) -> str:
    """A number with all digits that tell values apart, as YAML reads it: 1e+06 is a text to YAML."""
    text = f"{value:.15g}"
    return text if "e" not in text or "." in text else text.replace("e", ".0e")
