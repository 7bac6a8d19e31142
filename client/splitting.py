"""A client's rows dealt into training, validation and test, or into folds; by seed and client alone.

Shapes: N rows, B blocks.
"""

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calyx.seeding import rng
from calyx.tasks.base import Table

PartName = Literal["train", "validation", "test"]
PART_NAMES: tuple[PartName, ...] = ("train", "validation", "test")


def split(table: Table, seed: int, client: str, parts: int = 5) -> dict[PartName, Table]:
    """60 % training, 20 % validation, 20 % test rows, drawn by (seed, client); blocks stay whole.

    With 4 `parts` there is no test part, and a quarter validates.
    """
    draw = rng(seed, "split", client=client)
    one = round(len(table) / parts)
    ends = (one, 2 * one if parts == 5 else one)
    if table.blocks is None:
        rows = draw.permutation(len(table)).astype(np.int64)
    else:
        rows, ends = _shuffle_blocks(table.blocks, draw, ends)
    return {
        "train": table.take(rows[ends[1] :]),
        "validation": table.take(rows[: ends[0]]),
        "test": table.take(rows[ends[0] : ends[1]]),
    }


def split_fold(
    table: Table, seed: int, client: str, folds: tuple[int, int]
) -> dict[PartName, Table]:
    """The parts where fold i of k (`folds` = k, i) is the test part; a quarter of the rest validates.

    Folds are dealt by a keyed hash of each row, so that its place in the file does not matter and
    equal rows, or those of one block, are in one fold.
    """
    k, i = folds
    numbers = _equal_rows(table) if table.blocks is None else table.blocks
    keys = _hashes(table, numbers, f"{seed}/{client}".encode())
    fold = np.argsort(np.argsort(keys))[np.unique(numbers, return_inverse=True)[1]] % k
    test, rest = np.flatnonzero(fold == i), np.flatnonzero(fold != i)
    others = split(table.take(rest), seed, client, parts=4)
    return {
        "train": others["train"],
        "validation": others["validation"],
        "test": table.take(test),
    }


def _equal_rows(table: Table) -> NDArray[np.int64]:
    """A number [N] for every row; equal rows have one."""
    joined = np.column_stack([np.nan_to_num(table.x, nan=np.finfo(np.float64).max), table.y])
    numbers: NDArray[np.int64] = np.unique(joined, axis=0, return_inverse=True)[1].reshape(-1)
    return numbers


def _hashes(table: Table, numbers: NDArray[np.int64], key: bytes) -> NDArray[np.str_]:
    """A hash [B] of the first row of each of the B different `numbers`, in their order."""
    first = np.unique(numbers, return_index=True)[1]
    return np.array(
        [
            hashlib.sha256(key + table.x[row].tobytes() + table.y[row].tobytes()).hexdigest()
            for row in first
        ]
    )


def _shuffle_blocks(
    blocks: NDArray[np.int64], draw: np.random.Generator, wanted: tuple[int, int]
) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Rows, block by block in a drawn order, and of their ends the nearest to those `wanted`."""
    numbers, block = np.unique(blocks, return_inverse=True)
    place = draw.permutation(len(numbers))[block]
    ends = np.concatenate([[0], np.cumsum(np.bincount(place))])
    first, second = (int(ends[np.abs(ends - end).argmin()]) for end in wanted)
    return np.argsort(place, kind="stable").astype(np.int64), (first, second)
