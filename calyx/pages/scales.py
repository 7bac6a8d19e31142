"""From numbers to pixels and back to words: linear scales, round ticks, thinning, formats.

Pure; knows nothing of SVG.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calyx.words import digits
from calyx.words.digits import THIN, percent_text

Point = tuple[float, float | None]  # y None: not measured; the line has a gap there

MOST_LETTERS = 6  # of a tick's label
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


@dataclass(frozen=True)
class Scale:
    """The linear map of [low, high] onto the pixels [start, stop]; low < high.

    If `is_bounded`, what lies outside is drawn at the nearer end: a negative R² on an axis of shares.
    """

    low: float
    high: float
    start: float
    stop: float
    is_bounded: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        if self.is_bounded:
            value = min(max(value, self.low), self.high)
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def tick_step(span: float, most: int, whole: bool = False) -> float:
    """The smallest of 1, 2, 5 × 10^k that cuts `span` (> 0) into at most `most` steps."""
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    return max(1.0, step) if whole else step


def ticks(low: float, high: float, step: float) -> list[float]:
    """The multiples of `step` within [low, high]."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def round_domain(values: Iterable[float], most: int, zero: bool) -> tuple[float, float, float]:
    """Low, high and step of an axis that holds `values` and ends on ticks at both ends."""
    drawn = [*values, 0.0] if zero else list(values)
    low, high = (min(drawn), max(drawn)) if drawn else (0.0, 1.0)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-15):
        margin = abs(high) * 0.1 if abs(high) > 1e-14 else 0.5
        low, high = low if zero else low - margin, high + margin
    step = tick_step(high - low, most)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """At most about `most` points that keep the first, the last, and every bucket's extremes.

    A bucket without a value keeps its gap.
    """
    if len(points) <= most:
        return list(points)
    size = math.ceil(2 * (len(points) - 2) / (most - 2))
    kept = [points[0]]
    for start in range(1, len(points) - 1, size):
        bucket = points[start : min(start + size, len(points) - 1)]
        known = [(y, x) for x, y in bucket if y is not None]
        extremes = {(x, y) for y, x in (min(known), max(known))} if known else {bucket[0]}
        kept.extend(sorted(extremes))
    return [*kept, points[-1]]


def pick(length: int, most: int) -> list[int]:
    """At most `most` (>= 2) indices of a list, evenly spaced, with the first and the last."""
    if length <= most:
        return list(range(length))
    return [round(index * (length - 1) / (most - 1)) for index in range(most)]


def push_apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places along a line until neighbours are `gap` apart, within [low, high] if they fit."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    floor = low
    for index in order:
        moved[index] = floor = max(moved[index], floor)
        floor += gap
    ceiling = high
    for index in reversed(order):
        moved[index] = ceiling = min(moved[index], ceiling)
        ceiling -= gap
    return moved


def shorten(text: str, most: int) -> str:
    """`text` in at most `most` (>= 2) characters; the middle gives way, names differ at the end."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return text[: most - 1 - tail] + "…" + text[len(text) - tail :]


def tick_text(value: float, step: float) -> str:
    """A tick's label, with as many decimals as its step needs."""
    # A multiple of the step is a whole number of steps, and 0 of them is 0.
    return (
        "0" if round(value / step) == 0 else digits.format_fixed(value, digits.step_decimals(step))
    )


def score_text(value: float | None, metric: str) -> str:
    """A score of models, as everywhere: an accuracy in percent, an R² as it is."""
    if value is None or metric == "accuracy":
        return percent_text(value)
    return digits.share(value)


def common_power(values: Sequence[float], step: float) -> int:
    """The power of ten to write beside an axis, so that its ticks have room; 0 where they have."""
    longest = max((len(tick_text(value, step)) for value in values), default=0)
    largest = max((abs(value) for value in values), default=0.0)
    return math.floor(math.log10(largest)) if longest > MOST_LETTERS and largest else 0


def power_text(power: int) -> str:
    """A power of ten as it stands beside an axis: ×10⁶."""
    return f"×{THIN}10{str(power).translate(_RAISED)}"


def byte_unit(most: float) -> tuple[float, str]:
    """The decimal unit in which `most` bytes are at least 1, as its factor and name."""
    power = min(int(math.log10(most)) // 3, len(_BYTE_UNITS) - 1) if most >= 1 else 0
    return 1000.0**power, _BYTE_UNITS[power]


def bytes_text(count: int | None) -> str:
    """Bytes for a person: 12.3 MB."""
    if count is None:
        return digits.ABSENT
    factor, unit = byte_unit(1.000501 * count)  # what rounds to 1000 kB is 1 MB
    return f"{count}{THIN}B" if factor == 1 else f"{count / factor:.3g}{THIN}{unit}"


def seconds_text(seconds: float | None) -> str:
    """A duration for a person: 0.21 s, 3 min 12 s, 2 h 05 min."""
    if seconds is None:
        return digits.ABSENT
    if seconds < 59.95:
        return f"{seconds:.2g}{THIN}s" if seconds < 10 else f"{seconds:.0f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest:02d}{THIN}s"
    return f"{minutes // 60}{THIN}h {minutes % 60:02d}{THIN}min"
