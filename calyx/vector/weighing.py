"""How much one client may weigh in a training's sum: a power of two that no client's rows exceed.

A task may name it (`task.w_max`). Where it leaves it to the federation, every site says which power
of two its training rows reach, and of that only the number of sites is summed. See docs/decisions/0035.
"""

from collections.abc import Mapping, Sized

import numpy as np
from numpy.typing import NDArray

from calyx.config.section import PositiveInt, config

LARGEST_W_MAX = 2**24  # training rows
UNKNOWN_W_MAX = 2**20  # where not all sites have said how many rows they have
SITES_BY_ROWS = "train/sites_by_rows"  # sites by the power of two that their training rows reach
POWERS = LARGEST_W_MAX.bit_length()  # 2^0 … 2^24

_SMALL = 4096  # rows: more than any site's minimum

Cells = NDArray[np.int64]


def site_by_rows(samples: Mapping[str, Sized], whole: str, minimum: int) -> Cells:
    """A site's cells [POWERS]: 1 at the least power of two that its largest training part fits.

    `samples` are its training parts, and all rows under the name `whole`, which nobody trains on.
    A site of fewer than `minimum` rows says what one of `minimum` rows would.
    """
    parts = [len(table) for name, table in samples.items() if name != whole]
    num_examples = max(minimum, *parts)
    cells: Cells = np.zeros(POWERS, dtype=np.int64)
    cells[min(POWERS - 1, (num_examples - 1).bit_length())] = 1
    return cells


def least_w_max(sites: Cells) -> int:
    """The least power of two that no site's training rows exceed, of a sum of `site_by_rows`."""
    return 1 << int(np.flatnonzero(sites)[-1])


def is_possible(cells: Cells, sites: int, rows: int) -> bool:
    """Whether so many sites, with so many rows in all, can have said this in their `site_by_rows`.

    A site of fewer rows than its own minimum says more than it has; minimums are small numbers.
    """
    most = least_w_max(cells) // 2 if cells.any() else 0
    return int(cells.sum()) <= sites and most < max(rows, _SMALL)


def check_w_max(w_max: int | None) -> None:
    """Raise ValueError unless `w_max` is a power of two up to 2^24, or None.

    Source: `calyx-secagg/1`, "Vector"; a weight of more bits is no float32.
    """
    if w_max is not None and (w_max & (w_max - 1) or not 1 <= w_max <= LARGEST_W_MAX):
        raise ValueError(f"w_max={w_max} is not a power of two from 1 to {LARGEST_W_MAX}")


@config
class TaskSection:
    """What the section `task` of a config says of every task of ours; a task adds its own keys."""

    name: str
    # Largest weight of a client, in training rows: a power of two; null: the least that none exceeds.
    w_max: PositiveInt | None

    def __post_init__(self) -> None:
        """Raise ValueError unless `w_max` is a power of two."""
        check_w_max(self.w_max)
