"""Rows that stand more than once, exactly or but for one column, beyond what chance gives.

Shapes: N rows, C columns.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from calyx.data.row_hashes import Hashes
from calyx.data.schema import Table
from calyx.inspection.finding import LocalFinding, Severity
from calyx.seeding import rng
from calyx.words.sentences import say_rows

_CHANCE = 0.001  # a count this unlikely is none of chance
_MIN_COLUMNS = 5  # below, rows that agree in all but one column say nothing
_MAX_CELLS = 20_000_000  # of a table whose near repeats are looked for: seconds


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
