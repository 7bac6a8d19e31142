"""The sums of a survey, as `statistics.json` and a server's own folder keep them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calyx.files.foreign import read_object
from calyx.files.plain import write_json
from calyx.findings.figures import Sums
from calyx.run.order import Cv
from calyx.survey.blocks import Survey

_WIDE = 2**62


@dataclass(frozen=True)
class Counted:
    """The sums of a survey, over how many sites, of how many folds beside all rows, by which seed."""

    sums: Sums
    sites: int
    folds: int
    seed: int  # deals training parts and folds
    leaves_test: bool = False  # whether its folds leave the test part alone

    def has_folds(self, cv: Cv | None, seed: int) -> bool:
        """Whether it has sums over the very folds of rows that these are."""
        leaves_test = cv is not None and cv.combine is not None
        own = (self.folds, self.seed, self.leaves_test)
        return cv is not None and own == (cv.k, seed, leaves_test)


def write_counted(path: Path, counted: Counted) -> None:
    """Keep sums, atomically."""
    sums = {name: cells.tolist() for name, cells in counted.sums.items()}
    write_json(path, vars(counted) | {"sums": sums})


def read_counted(path: Path) -> Counted:
    """The sums of `write_counted`. Raises OSError, or ValueError for a damaged file."""
    value = read_object(path)
    try:
        return Counted(
            sums={str(name): _cells(cells) for name, cells in value["sums"].items()},
            sites=int(value["sites"]),
            folds=int(value["folds"]),
            seed=int(value["seed"]),
            leaves_test=value.get("leaves_test") is True,
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("no file of sums") from error


def holds(sums: Sums, survey: Survey) -> bool:
    """Whether the sums are of the survey's cells."""
    return all(len(sums.get(count.name, ())) == count.size for count in survey.counts())


def _cells(values: list[int]) -> NDArray[Any]:
    """Whole numbers of any size. Raises ValueError for others."""
    if not all(type(n) is int for n in values):
        raise ValueError("a sum is no whole number")
    is_wide = any(abs(n) >= _WIDE for n in values)
    return np.array(values, dtype=object if is_wide else np.int64)
