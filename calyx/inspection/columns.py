"""One numeric column by itself: outliers, codes for "missing" that nobody declared, another unit.

Robust statistics: what is judged must not move the measure that it is judged by. Every threshold
is such that the real columns of heart, digits and vowel give no warning.

Shapes: `present` [N] are a column's values without missing ones.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, is_inside
from calyx.inspection.finding import LocalFinding, Severity
from calyx.words.digits import plain
from calyx.words.sentences import say_rows

Values = NDArray[np.float64]

MIN_VALUES = 20  # fewer say nothing of a distribution
CODES = (0.0, -1.0, -9.0, -99.0, -999.0, -9999.0, 9.0, 99.0, 999.0, 9999.0)
FACTORS = (  # between units that are confused, each also the other way round
    *(10.0, 100.0, 1000.0),
    *(2.2046, 2.54, 7.5006),  # pounds and kilograms, inches and cm, mm Hg and kPa
    *(18.016, 38.67, 88.42),  # mg/dl and mmol/l: glucose, cholesterol; creatinine (µmol/l)
)
_FAR = 8.0  # robust standard deviations, beyond which a value is an outlier
_SPIKE = 0.2  # share of one value, from which on it is no part of the distribution of the rest
_SKEWED = 0.3  # Bowley's coefficient, from which on a positive column is judged by its logarithm
_CODE_FAR = 3.5  # robust standard deviations of a code from the others' median
_CODE_GAP = 0.4  # of the width of the others' middle nine tenths, to the nearest of them
_CODE_SHARE, _CODE_ROWS = 0.01, 3  # it stands in so many rows at least
_EDGE = 0.05  # share of the declared range that holds nine tenths of the values, at its edge
_FITS = 0.99  # share of values that lie in the declared range in the right unit


def column_findings(present: Values, column: Column) -> Iterator[LocalFinding]:
    """Outliers, an undeclared code for "missing" and a wrong unit, of one numeric column."""
    severity: Severity
    if len(present) < MIN_VALUES:
        return
    code = undeclared_code(present, column)
    if code is not None:
        count = int((present == code).sum())
        present = present[present != code]
        message = (
            f"{say_rows(count, 'has', 'have')} {plain(code)} in the column {column.name}, far from all other "
            "values: does it stand for missing? Then list it under the schema's codes."
        )
        # Plausible by the schema, or more often than not: then it may well be a value ("none").
        is_value = _is_plausible(code, column) or count > len(present)
        severity = "info" if is_value else "warning"
        yield LocalFinding("undeclared-code", severity, column.name, count, message)
    yield from unit_findings(present, column)
    far = present[outliers(present)]
    if len(far):
        message = (
            f"{say_rows(len(far), 'lies', 'lie')} far from all others in the column {column.name}."
        )
        # What the schema calls plausible on both sides is rare there, and not wrong.
        is_bounded = column.low is not None and column.high is not None
        severity = "info" if is_bounded and is_inside(far, column).all() else "warning"
        yield LocalFinding("outliers", severity, column.name, len(far), message)


def outliers(present: Values) -> NDArray[np.bool_]:
    """Which of the values [N] lie more than 8 robust standard deviations from the median.

    The deviation is the larger one of 1.4826 · MAD and IQR / 1.349, which both are 1 for a normal
    column (Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers, take 3.5: real data has
    longer tails). A positive column that is skewed is judged by its logarithm, and a value that a
    fifth of the rows share is set aside: the zeros of "none" are no part of "how much".
    """
    far = np.zeros(len(present), dtype=np.bool_)
    rest = present != _mode(present) if _spike(present) else ~far
    values = present[rest]
    if len(values) < MIN_VALUES:
        return far
    if values.min() > 0 and _bowley(values) > _SKEWED:
        values = np.log(values)
    scale = _scale(values)
    if scale > 0:
        far[rest] = np.abs(values - np.median(values)) > _FAR * scale
    return far


def undeclared_code(present: Values, column: Column) -> float | None:
    """A value of CODES, not the schema's, that several rows have and all others stay far from."""
    for code in CODES:
        is_code = present == code
        rest = present[~is_code]
        enough = max(_CODE_ROWS, _CODE_SHARE * len(present))
        if is_code.sum() < enough or len(rest) < MIN_VALUES:
            continue
        gap = max(rest.min() - code, code - rest.max())
        low, high = np.quantile(rest, [0.05, 0.95])
        is_far = abs(code - np.median(rest)) > _CODE_FAR * _scale(rest)
        if is_far and gap > _CODE_GAP * (high - low):
            return code
    return None


def _is_plausible(code: float, column: Column) -> bool:
    is_declared = column.low is not None or column.high is not None
    return is_declared and bool(is_inside(np.array([code]), column)[0])


def unit_findings(present: Values, column: Column) -> Iterator[LocalFinding]:
    """Most values outside the declared range, or all of them huddled at its edge.

    Zeros are left out: they are the same in every unit.
    """
    values = present[present != 0]
    if len(values) < MIN_VALUES:
        return
    outside = ~is_inside(values, column)
    if np.median(outside) >= 1:
        count, factor = int(outside.sum()), _find_factor(values, column)
        why = f"as if multiplied by {factor:g}" if factor else "of another unit or another column"
        message = (
            f"{say_rows(count, 'lies', 'lie')} outside the declared range in the column {column.name}, "
            f"{why}."
        )
        yield LocalFinding("unit", "warning", column.name, count, message)
    elif _huddles(values, column):
        message = (
            f"All values of the column {column.name} lie at one edge of its declared range: is the "
            "unit right?"
        )
        yield LocalFinding("unit", "info", column.name, len(values), message)


def find_factor(ratio: float) -> float | None:
    """The factor between two units that a ratio > 0 is within a seventh of; None where none is."""
    both = [f for factor in FACTORS for f in (factor, 1 / factor)]
    nearest = min(both, key=lambda factor: abs(np.log(ratio / factor)))
    return nearest if abs(np.log(ratio / nearest)) < 0.14 else None


def _find_factor(values: Values, column: Column) -> float | None:
    for factor in FACTORS:
        for f in (factor, 1 / factor):
            if is_inside(values / f, column).mean() >= _FITS:
                return f
    return None


def _huddles(values: Values, column: Column) -> bool:
    if column.low is None or column.high is None or len(np.unique(values)) < 5:
        return False
    reach = _EDGE * (column.high - column.low)
    low, high = np.quantile(values, [0.05, 0.95])
    return bool(high <= column.low + reach or low >= column.high - reach)


def _spike(present: Values) -> bool:
    return bool((present == _mode(present)).mean() >= _SPIKE)


def _mode(present: Values) -> float:
    distinct, counts = np.unique(present, return_counts=True)
    return float(distinct[counts.argmax()])


def _scale(values: Values) -> float:
    median = np.median(values)
    first, third = np.quantile(values, [0.25, 0.75])
    return float(max(1.4826 * np.median(np.abs(values - median)), (third - first) / 1.349))


def _bowley(values: Values) -> float:
    """Skewness by quartiles, -1 … 1. Source: Bowley 1920, Elements of Statistics."""
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
    return float((first + third - 2 * median) / (third - first)) if third > first else 0.0
