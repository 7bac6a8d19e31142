"""Own columns against what is known of them: declared ranges, and the site's last version.

Shapes: N rows, C columns, Q inner quantiles at the probabilities 1/(Q+1) … Q/(Q+1).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Column, Schema, Table, is_inside, present_values
from calyx.inspection.columns import MIN_VALUES, find_factor
from calyx.inspection.finding import LocalFinding
from calyx.words.sentences import say_rows

Values = NDArray[np.float64]

QUANTILES = 9
_RIGHT = 0.05  # share outside the range that still fits
_ROOM = 0.5  # by how much a pair must fit better the other way round, of 2
_ROOM_BEFORE, _NEAREST = 0.3, 0.1  # the same, and what still fits, against the last version
_CHANCE = 1.7  # the 0.6 % point of Kolmogorov's distribution: chance alone keeps versions apart
_LEAST_FACTOR = 1.5  # from which on a scale is another unit's
_MIN_QUANTILES = 5  # that are not 0: two or three of a coarse column double by chance
_SAME_FACTOR = 0.25  # how far quantiles' factors may differ, of their logarithm
_MISSING_MORE = 0.05  # share of rows
_SURE = 1e-4
_MAX_SUSPECTS = 100


@dataclass(frozen=True)
class Reference:
    """What is kept of a version of a site's rows, by column; it never leaves the site."""

    quantiles: Mapping[str, tuple[float, ...]]  # inner ones, of the values that are not missing
    missing: Mapping[str, float]  # shares 0 … 1
    rows: int  # behind `missing`


def reference_of(table: Table, schema: Schema, quantiles: int = QUANTILES) -> Reference:
    """A site's own data as a reference for its next version; columns with few values are left out."""
    at = np.arange(1, quantiles + 1) / (quantiles + 1)
    quantile_values, missing = {}, {}
    for i, column in enumerate(schema.columns):
        present = present_values(table.x[:, i], column)
        missing[column.name] = 1 - len(present) / max(1, len(table))
        if len(present) >= MIN_VALUES and column.kind != "text":
            quantile_values[column.name] = tuple(
                np.quantile(present, at, method="inverted_cdf").tolist()
            )
    return Reference(quantile_values, missing, len(table))


def find_swapped_by_range(table: Table, schema: Schema) -> Iterator[LocalFinding]:
    """Pairs of columns of one kind whose values fit each other's declaration only."""
    values = _values(table, schema)
    misfits = [column for column in values if _outside(values[column], column) > _RIGHT]
    for first, second in combinations(misfits, 2):
        own = _outside(values[first], first) + _outside(values[second], second)
        crossed = (_outside(values[first], second), _outside(values[second], first))
        fits = max(crossed) <= _RIGHT and own - sum(crossed) >= _ROOM
        if first.kind == second.kind and fits:
            yield _describe_swap(first, second, len(table))


def find_swapped_by_reference(
    table: Table, schema: Schema, previous: Reference
) -> Iterator[LocalFinding]:
    """Pairs of columns of one kind whose values fit each other's quantiles, and not their own."""
    values = _values(table, schema)
    known = {
        c: np.array(previous.quantiles[c.name]) for c in values if c.name in previous.quantiles
    }
    if not known or previous.rows == 0:
        return
    near = max(_NEAREST, _CHANCE * np.sqrt(1 / len(table) + 1 / previous.rows))
    own = {c: _distance(values[c], known[c]) for c in known}
    worst = sorted((c for c in own if own[c] > near), key=lambda c: -own[c])[:_MAX_SUSPECTS]
    for first, second in combinations([c for c in known if c in worst], 2):
        if first.kind != second.kind:
            continue
        crossed = (
            _distance(values[first], known[second]),
            _distance(values[second], known[first]),
        )
        if max(crossed) <= near and own[first] + own[second] - sum(crossed) >= _ROOM_BEFORE:
            yield _describe_swap(first, second, len(table))


def _values(table: Table, schema: Schema) -> dict[Column, Values]:
    """The values that are not missing, of each column with enough of them."""
    return {
        column: present
        for i, column in enumerate(schema.columns)
        if column.kind != "text"
        and len(present := present_values(table.x[:, i], column)) >= MIN_VALUES
    }


def _describe_swap(first: Column, second: Column, count: int) -> LocalFinding:
    message = (
        f"The values of {first.name} look like those of {second.name}, and the other way round: "
        "were the two columns swapped?"
    )
    return LocalFinding("swapped", "warning", first.name, count, message)


def unit_by_reference(table: Table, schema: Schema, previous: Reference) -> Iterator[LocalFinding]:
    """Numeric columns whose quantiles are all the same multiple, or part, of what they were."""
    for i, column in enumerate(schema.columns):
        if column.kind not in ("numeric", "image") or column.name not in previous.quantiles:
            continue
        known = np.array(previous.quantiles[column.name])
        present = present_values(table.x[:, i], column)
        factor = _factor(present, known)
        if factor is None or max(factor, 1 / factor) < _LEAST_FACTOR:
            continue
        exact = find_factor(factor)
        message = (
            f"The values of the column {column.name} are about {exact or factor:.3g} times as large "
            "as in the last version: is the unit right?"
        )
        yield LocalFinding("unit", "warning", column.name, len(present), message)


def version_findings(table: Table, schema: Schema, previous: Reference) -> Iterator[LocalFinding]:
    """What changed since the site's last version: a unit, swapped columns, values that are missing now."""
    yield from unit_by_reference(table, schema, previous)
    yield from find_swapped_by_reference(table, schema, previous)
    for i, column in enumerate(schema.columns):
        before = previous.missing.get(column.name)
        if before is None or previous.rows == 0 or len(table) == 0:
            continue
        count = len(table) - len(present_values(table.x[:, i], column))
        is_more = count / len(table) - before > _MISSING_MORE
        if is_more and _is_sure(count, len(table), round(before * previous.rows), previous.rows):
            message = (
                f"{say_rows(count, 'has', 'have')} no value in the column {column.name}, and in the last "
                f"version a share of {before:.0%} had none."
            )
            yield LocalFinding("missing-more", "warning", column.name, count, message)


def _is_sure(count: int, of: int, before: int, rows_before: int) -> bool:
    """Whether a share is larger than before beyond chance: the normal test of two proportions."""
    both = (count + before) / (of + rows_before)
    spread = np.sqrt(both * (1 - both) * (1 / of + 1 / rows_before))
    from scipy.special import ndtr

    return bool(ndtr((before / rows_before - count / of) / spread) < _SURE) if spread else False


def _outside(values: Values, column: Column) -> float:
    """Share of values that the schema does not allow in this column."""
    if column.kind == "categorical":
        return float((~np.isin(values, column.categories)).mean())
    return float((~is_inside(values, column)).mean())


def _distance(values: Values, quantiles: Values) -> float:
    """Kolmogorov-Smirnov's distance 0 … 1 at the quantiles; equal values may lie on either side."""
    at = np.arange(1, len(quantiles) + 1) / (len(quantiles) + 1)
    ordered = np.sort(values)
    below = np.searchsorted(ordered, quantiles, side="left") / len(values)
    through = np.searchsorted(ordered, quantiles, side="right") / len(values)
    return float(np.maximum(below - at, at - through).max(initial=0.0))


def _factor(present: Values, known: Values) -> float | None:
    """The one factor between own and known quantiles; None where there is no single one."""
    if len(present) < MIN_VALUES:
        return None
    at = np.arange(1, len(known) + 1) / (len(known) + 1)
    own = np.quantile(present, at, method="inverted_cdf")
    both = (own * known) > 0
    if both.sum() < _MIN_QUANTILES or (own[~both] != known[~both]).any():
        return None
    logs = np.log(own[both] / known[both])
    middle = float(np.median(logs))
    if logs.max() - logs.min() > _SAME_FACTOR * abs(middle):
        return None
    return float(np.exp(middle))
