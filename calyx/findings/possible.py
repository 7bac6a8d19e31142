"""Whether sums are of rows at all: a member, or who made a file, may have written any numbers.

Only what no rows can have is refused. A liar who keeps to these rules changes figures all the same.
See docs/decisions/0036.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calyx.errors import CalyxError
from calyx.survey.blocks import ITEMS, MEAN_STEPS, WITHHELD, Survey
from calyx.survey.variables import categorical, numeric, variables

Cells = NDArray[np.int64]
Sums = Mapping[str, Cells]

MOST_SITES = 2**20


def check_sums(sums: Sums, survey: Survey, sites: int, sample: str) -> None:
    """Raise CalyxError for sums of a sample that no rows of so many sites can have."""
    if not 0 < sites <= MOST_SITES:
        raise CalyxError(f"the statistics are of {sites} sites: no federation has so many")
    blocks = survey.blocks(sample)
    withheld = sums[f"{sample}/{WITHHELD}"]
    bounds = {b.name: sites * b.maximum for b in blocks} | {WITHHELD: sites}
    for name, most in bounds.items():
        if any(not 0 <= int(n) <= most for n in sums[f"{sample}/{name}"]):
            raise _impossible(name, f"a cell is none that {sites} sites can have")
    if len(set(withheld.tolist()[: len(ITEMS)])) > 1:
        return  # the items are of other sites, and cannot be held against each other
    cells = {b.name: sums[f"{sample}/{b.name}"].reshape(b.shape) for b in blocks}
    _check_rows(cells, survey)
    _check_numbers(cells)
    _check_powers(cells)


def _impossible(name: str, why: str) -> CalyxError:
    return CalyxError(
        f"the statistics are impossible, so that nothing follows from them: {name}, {why}"
    )


def _check_rows(cells: Sums, survey: Survey) -> None:
    """Each row is counted once: as missing, in a category or a range, or as hidden."""
    rows, schema = int(cells["rows"][0]), survey.schema
    if "labels" in cells:
        told = int(cells["labels"].sum()) + int(cells["hidden_label_rows"][0])
        if told != rows:
            raise _impossible("labels", f"{told} labels of {rows} rows")
    if "duplicates" in cells and int(cells["duplicates"][0]) > rows:
        raise _impossible("duplicates", f"more than the {rows} rows")
    r = first = c = 0
    for i, variable in enumerate(variables(schema)):
        missing = told = int(cells["missing"][i])
        if variable in numeric(schema):
            told += int(cells["present"][r]) + int(cells["outside"][r].sum())
            r += 1
        elif variable in categorical(schema):
            end = first + len(variable.categories)
            told += int(cells["category"][first:end].sum()) + int(cells["unknown"][c])
            told += int(cells["hidden_rows"][c])
            first, c = end, c + 1
        else:
            told = max(told, rows)
        if told != rows:
            raise _impossible(
                variable.name, f"{told} values, missing ones among them, of {rows} rows"
            )
        if int(cells["coded"][i]) > missing:
            raise _impossible(variable.name, f"more codes than the {missing} missing values")


def _check_numbers(cells: Sums) -> None:
    """A table counts the same rows at every scale, and the parts are not more than the whole."""
    for r, present in enumerate(cells["present"].tolist() if "present" in cells else ()):
        counted = cells["cells"][r].sum(axis=-1)
        if (counted != counted.flat[0]).any() or int(counted.flat[0]) > present:
            raise _impossible("cells", f"not the same rows at every scale, or more than {present}")
        for name in ("class_present", "pairs"):
            if name in cells and int(np.sum(cells[name][r])) > present:
                raise _impossible(name, f"more than the {present} values")


def _check_powers(cells: Sums) -> None:
    """Sums of squares are at least what the sums need (Cauchy and Schwarz)."""
    pairs = []
    for name in ("powers_missing", "powers_mean", "powers_label", "powers_category"):
        if name in cells:
            q, q2, q3, q4, n = (cells[name][i].tolist() for i in range(5))
            pairs += [(name, *of) for of in zip(n, q, q2, strict=True)]
            pairs += [(name, *of) for of in zip(n, q2, q4, strict=True)]
            pairs += [(name, *of) for of in zip(q2, q3, q4, strict=True)]
    if "spread_mean" in cells:
        total, square, sites = (cells["spread_mean"][i].tolist() for i in range(3))
        pairs += [("spread_mean", *of) for of in zip(sites, total, square, strict=True)]
        if any(t > s << MEAN_STEPS for t, s in zip(total, sites, strict=True)):
            raise _impossible("spread_mean", "a mean beyond its range")
    for name, one, both, other in pairs:
        if both**2 > one * other:
            raise _impossible(name, "the powers are of no shares")
