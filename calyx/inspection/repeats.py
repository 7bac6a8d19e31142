"""Rows that stand more than once, exactly or but for one column, beyond what chance gives.

Shapes: N rows, C columns.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Table
from calyx.inspection.finding import LocalFinding, Severity
from calyx.seeding import rng
from calyx.words.sentences import say_rows

_CHANCE = 0.001  # a count this unlikely is none of chance
_MIN_COLUMNS = 5  # below, rows that agree in all but one column say nothing
_MAX_CELLS = 20_000_000  # of a table whose near repeats are looked for: seconds

_CELLS_AT_ONCE = 100_000  # a call of NumPy takes longer than a few cells do
_MIXING = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
    (np.uint64(31), None),
)

Hashes = NDArray[np.uint64]


def repeat_findings(table: Table) -> Iterator[LocalFinding]:
    """Exact repeats of a row with its label; and rows that differ from another in one column only.

    Chance is that of columns which know nothing of each other: real ones agree more often, so that
    a table of few coarse columns can be told without cause.
    """
    if len(table) < 2:
        return
    hashes, agreements = _hashes(table)
    whole = hashes.sum(axis=1, dtype=np.uint64)
    exact = len(whole) - len(np.unique(whole))
    pairs = len(table) * (len(table) - 1) / 2
    logs = np.log(np.maximum(agreements, 1e-300))
    if exact and _is_beyond(exact, pairs * np.exp(logs.sum())):
        message = f"{say_rows(exact, 'stands', 'stand')} twice, which chance does not explain."
        is_blocked = table.blocks is not None  # equal lines of two speeches are no mistake
        severity: Severity = "info" if is_blocked else "warning"
        yield LocalFinding("duplicates", severity, None, exact, message)
    if not _MIN_COLUMNS <= table.x.shape[1] <= _MAX_CELLS / len(table):
        return
    near = _near(hashes, whole)
    if near and _is_beyond(near, pairs * np.exp(logs.sum() - logs).sum()):
        message = f"{say_rows(near, 'differs', 'differ')} from another in one column only."
        yield LocalFinding("near-duplicates", "info", None, near, message)


def row_hashes(table: Table) -> Hashes:
    """A number [N] for each row with its label: equal rows have equal ones.

    Others differ, but for one pair in 2^64: in ten million rows, a chance of three in a million.
    To sort whole rows instead takes several times as long. The mixing is splitmix64's. Source: Steele, Lea
    and Flood 2014, Fast splittable pseudorandom number generators.
    """
    total = np.zeros(len(table), dtype=np.uint64)
    shifted = np.empty_like(total)
    for bits in _bits(table):
        total += bits
        for shift, factor in _MIXING:
            np.right_shift(total, shift, out=shifted)
            total ^= shifted
            if factor is not None:
                total *= factor
    return total


def _bits(table: Table) -> Iterator[Hashes]:
    """The cells [N] of each column and of the label as numbers, each made odd by a constant."""
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(table)))
    cells = table.x.T
    for block in (*(cells[i : i + at_once] for i in range(0, len(cells), at_once)), table.y[None]):
        # Adding zero makes -0 the same as 0, and all missing values are one.
        values = np.where(np.isnan(block), np.nan, block) + 0.0
        yield from np.ascontiguousarray(values).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)


def _near(hashes: Hashes, whole: Hashes) -> int:
    """Rows that equal another but for one of the columns or the label, and are no exact repeats."""
    first = np.sort(np.unique(whole, return_index=True)[1])
    kept, total = hashes[first], whole[first]
    repeated = np.zeros(len(first), dtype=np.bool_)
    for column in kept.T:
        _, place, counts = np.unique(total - column, return_inverse=True, return_counts=True)
        repeated |= counts[place] > 1
    return int(repeated.sum()) // 2


def _is_beyond(count: int, expected: float) -> bool:
    from scipy.special import pdtrc

    return bool(pdtrc(count - 1, expected) < _CHANCE)


def _hashes(table: Table) -> tuple[Hashes, NDArray[np.float64]]:
    """A hash of each cell and label [N, C + 1], and how often two rows agree in each column [C + 1].

    Sums of hashes are a row's: taking one away leaves that of the other columns.
    """
    cells = np.column_stack([np.nan_to_num(table.x, nan=np.finfo(np.float64).max), table.y])
    hashes = np.empty(cells.shape, dtype=np.uint64)
    agreements = np.empty(cells.shape[1])
    draw = rng(0, "repeats")
    for i, column in enumerate(cells.T):
        distinct, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        hashes[:, i] = draw.integers(2**64, size=len(distinct), dtype=np.uint64)[place]
        agreements[i] = ((counts / len(column)) ** 2).sum()
    return hashes, agreements
