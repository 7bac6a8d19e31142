"""A client's rows dealt into training, validation and test, or into folds; by seed and client alone.

Rows of one block stay together. Where a table brings `parts` nothing is dealt, and where it brings
`times` the earliest rows train and the latest test.

Shapes: N rows, B blocks.

See docs/decisions/0040.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Table
from calyx.seeding import rng
from calyx.wire.messages import FailureCode
from client.failures import ClientFailure
from client.rows.cuts import TOLERATED, ends_of, nearest_cuts

PartName = Literal["train", "validation", "test"]
PART_NAMES: tuple[PartName, ...] = ("train", "validation", "test")
DRAWS = 64  # orders of blocks that are tried for one with parts of the wanted sizes


@dataclass(frozen=True)
class Fold:
    """One of the folds of a client's rows."""

    number: int  # from 0
    of: int
    leaves_test: bool = False  # the test part of a training is in no fold


def split(table: Table, seed: int, client: str, parts: int = 5) -> dict[PartName, Table]:
    """60 % training, 20 % validation, 20 % test rows, drawn by (seed, client); blocks stay whole.

    With 4 `parts` there is no test part, and a quarter validates. `parts` of the table are taken as
    they are; with its `times` the first 60 % of the rows train, and the last 20 % test.
    """
    if table.parts is not None:
        own = table.parts
        return {name: table.take(np.flatnonzero(own == i)) for i, name in enumerate(PART_NAMES)}
    if table.times is not None:
        return _split_by_time(table, table.times, round(len(table) / parts))
    return {name: table.take(rows) for name, rows in _deal(table, seed, client, parts).items()}


def _deal(table: Table, seed: int, client: str, parts: int) -> dict[PartName, NDArray[np.int64]]:
    """The drawn rows of each part, by their indices."""
    one = round(len(table) / parts)
    draw = rng(seed, "split", client=client)
    ends = (one, 2 * one if parts == 5 else one)
    if table.blocks is None:
        rows = draw.permutation(len(table)).astype(np.int64)
    else:
        rows, ends = _shuffle_blocks(table.blocks, draw, ends)
    return {
        "train": rows[ends[1] :],
        "validation": rows[: ends[0]],
        "test": rows[ends[0] : ends[1]],
    }


def split_fold(table: Table, seed: int, client: str, fold: Fold) -> dict[PartName, Table]:
    """The parts where this fold is the test part; a quarter of the rest validates.

    Folds are dealt by a keyed hash of each row, so that its place in the file does not matter and
    equal rows, or those of one block, are in one fold. Rows that are all of one block are trained on
    in each fold, and tested in none. A fold that `leaves_test` has no row of the test part of `split`.

    Raises ClientFailure where the table decides its own split.
    """
    if table.parts is not None or table.times is not None:
        raise ClientFailure(
            FailureCode.ORDER_REFUSED,
            "The rows bring a split of their own, which folds of rows would undo.",
        )
    if fold.leaves_test:
        dealt = _deal(table, seed, client, parts=5)
        table = table.take(np.sort(np.concatenate([dealt["train"], dealt["validation"]])))
    key = f"{seed}/{client}".encode()
    if table.blocks is None:
        number = _fold_of_rows(table, fold.of, key)
    else:
        number = _fold_of_blocks(table, table.blocks, fold.of, key)
    test, rest = np.flatnonzero(number == fold.number), np.flatnonzero(number != fold.number)
    others = split(table.take(rest), seed, client, parts=4)
    return {
        "train": others["train"],
        "validation": others["validation"],
        "test": table.take(test),
    }


def _fold_of_rows(table: Table, k: int, key: bytes) -> NDArray[np.int64]:
    """The fold [N] of each row: equal rows are in one, and as many different rows in each."""
    _, first, numbers = np.unique(table.hashes, return_index=True, return_inverse=True)
    keyed = np.array([_hash(table, row, key).hex() for row in first])
    fold: NDArray[np.int64] = np.argsort(np.argsort(keyed))[numbers] % k
    return fold


def _fold_of_blocks(
    table: Table, blocks: NDArray[np.int64], k: int, key: bytes
) -> NDArray[np.int64]:
    """The fold [N] of each row by its block; -1 where there is only one block.

    The largest block is dealt first, and each to the fold with the fewest rows so far, so that
    unequal blocks make folds as equal as whole blocks allow. Hashes decide between equal ones.
    """
    numbers, block = np.unique(blocks, return_inverse=True)
    if len(numbers) == 1:
        return np.full(len(table), -1)
    rows = np.split(np.argsort(block, kind="stable"), np.cumsum(np.bincount(block))[:-1])
    hashes = [
        hashlib.sha256(b"".join(sorted(_hash(table, row, key) for row in own))).digest()
        for own in rows
    ]
    held, fold = [0] * k, np.empty(len(rows), dtype=np.int64)
    for one in sorted(range(len(rows)), key=lambda b: (-len(rows[b]), hashes[b])):
        fold[one] = held.index(min(held))
        held[fold[one]] += len(rows[one])
    return fold[block]


def _hash(table: Table, row: int, key: bytes) -> bytes:
    return hashlib.sha256(key + table.x[row].tobytes() + table.y[row].tobytes()).digest()


def _shuffle_blocks(
    blocks: NDArray[np.int64], draw: np.random.Generator, wanted: tuple[int, int]
) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Rows, block by block in a drawn order, and of the blocks' ends the two that fit `wanted` best.

    Where one block is too large for the place that it was drawn to, other orders are tried; the
    first that fits is taken, and of those that do not fit, the best.
    """
    numbers, block = np.unique(blocks, return_inverse=True)
    best, least = np.arange(len(numbers)), np.inf
    for _ in range(DRAWS):
        order = draw.permutation(len(numbers))
        miss = nearest_cuts(ends_of(order[block]), wanted).miss
        if miss < least:
            best, least = order, miss
        if miss <= TOLERATED:
            break
    place = best[block]
    cuts = nearest_cuts(ends_of(place), wanted)
    return np.argsort(place, kind="stable").astype(np.int64), (cuts.first, cuts.second)


def _split_by_time(table: Table, times: NDArray[np.float64], one: int) -> dict[PartName, Table]:
    """The latest rows test, those before them validate; rows of one time are in one part."""
    _, place = np.unique(times, return_inverse=True)
    place = place.max(initial=0) - place  # the latest first
    rows = np.argsort(place, kind="stable")
    cuts = nearest_cuts(ends_of(place), (one, 2 * one), spare=1)
    return {
        "train": table.take(rows[cuts.second :]),
        "validation": table.take(rows[cuts.first : cuts.second]),
        "test": table.take(rows[: cuts.first]),
    }
