"""How predictions are written: as CSV, one line a row, in the rows' order."""

import csv
import io

import numpy as np
from numpy.typing import NDArray

from calyx.data.schema import Schema
from calyx.errors import UserError
from calyx.words.digits import by_scale, decimals_of, format_fixed

SMALL_DIGITS = 3  # of a small probability


def header_of(schema: Schema, ids: str | None) -> list[str]:
    """The first line: the column of ids, if any, then the answers'. Raises UserError for one name twice."""
    answers = [schema.target.name] if schema.target else ["predicted"]
    answers += [f"p({name})" for name in schema.classes]
    if ids in answers:
        raise UserError(
            f"--ids={ids} is called as a column of the predictions is; rename it in the file."
        )
    return answers if ids is None else [ids, *answers]


def as_csv(
    schema: Schema,
    header: list[str],
    outputs: NDArray[np.float64],
    ids: tuple[str, ...] | None = None,
) -> str:
    """One line a row: its id, then the class and every class's probability, or the value.

    A value has the digits of the target's scale; probabilities as many as show the winner. A row
    without finite numbers has empty cells.
    """
    beside = [()] * len(outputs) if ids is None else [(cell,) for cell in ids]
    rows = ([*first, *_cells(schema, row)] for first, row in zip(beside, outputs, strict=True))
    return "".join(map(_line, [header, *rows]))


def _line(cells: list[str]) -> str:
    """A line of CSV that ends in "\\n"; a cell that holds "\\r" or "\\n" is in quotes."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)  # Python quotes the signs of its own line end only: both
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cells(schema: Schema, row: NDArray[np.float64]) -> list[str]:
    if not np.isfinite(row).all():
        return [""] * (1 + len(schema.classes))
    if schema.target is not None:
        return [by_scale(float(row[0]), schema.target.scale)]
    return [schema.classes[int(row.argmax())], *probabilities(row.tolist())]


def probabilities(row: list[float]) -> list[str]:
    """Six decimals, and more where fewer would call two different ones alike or a small one 0."""
    first, second = sorted([0.0, *row])[:-3:-1]
    decimals = 6
    while first > second and f"{first:.{decimals}f}" == f"{second:.{decimals}f}":
        decimals += 1
    return [format_fixed(p, max(decimals, decimals_of(p, SMALL_DIGITS))) for p in row]
