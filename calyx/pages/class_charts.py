"""Draws a confusion matrix: a square of cells, coloured by the share of each row. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from calyx.pages.client_charts import LETTER, LEVELS
from calyx.pages.scales import shorten
from calyx.pages.svg import Caption, draw, tag, text

WIDTH = 520
NAMES, TOP = 124, 26  # width of the true classes' names; height above the said classes' names
SMALL, LARGE = 13.0, 84.0  # a cell's side
ROW = 26.0  # height of a row with numbers
LINE = 17.0  # least distance of two names
LETTERS = 11  # of a name
FAINT = 0.02  # of a class's rows
_ACROSS = 0.62  # height and width of a slanting letter, in its length along the line


@dataclass(frozen=True)
class _Grid:
    """Where the cells are: their width and height, and the upper edge of the first row, in units."""

    cell: float
    tall: float
    head: float


def confusion_map(
    caption: Caption,
    names: Sequence[str],
    counts: Sequence[Sequence[int]],
    sizes: Sequence[int],
) -> Markup:
    """`counts[true][said]` of the classes `names`; `sizes[true]` rows are the whole of a row's colour.

    Where cells are too small for numbers there are none, and where names would touch some are left
    out: the table beside has them all.
    """
    num, longest = len(names), min(LETTERS, max(len(name) for name in names))
    slant = 0.0 if longest * LETTER <= (WIDTH - NAMES) / num else longest * LETTER * _ACROSS
    cell = min(LARGE, max(SMALL, (WIDTH - NAMES - slant) / num))
    head = TOP + (slant + 12 if slant else 20.0)
    tall = max(cell, ROW) if num * ROW <= WIDTH else cell
    grid = _Grid(cell, tall, head)
    width = max(float(WIDTH), NAMES + num * cell + slant)
    parts = [
        text(NAMES - 10, head - 8, "true class", "axis end"),
        text(NAMES, 14, "what the model said", "axis start"),
        *_rows(names, grid),
        *_columns(names, grid, is_level=not slant),
        *_cells(counts, sizes, grid),
    ]
    return draw(caption, width, head + num * tall + 6, parts, wide=width > WIDTH)


def share_level(count: int, size: int) -> int:
    """The colour of a cell: 0 for none, 1 for next to none, then in equal steps up to all of the row."""
    if count == 0 or size == 0:
        return 0
    return 1 if count < FAINT * size else 1 + math.ceil((LEVELS - 1) * count / size)


def _rows(names: Sequence[str], grid: _Grid) -> list[Markup]:
    every = math.ceil(LINE / grid.tall)
    return [
        text(
            NAMES - 10,
            grid.head + (i + 0.5) * grid.tall + 5,
            shorten(name, LETTERS),
            "tick end",
            name,
        )
        for i, name in enumerate(names)
        if i % every == 0
    ]


def _columns(names: Sequence[str], grid: _Grid, *, is_level: bool) -> list[Markup]:
    cell, head = grid.cell, grid.head
    if is_level:
        return [
            text(NAMES + (j + 0.5) * cell, head - 8, name, "tick middle")
            for j, name in enumerate(names)
        ]
    labels = []
    for j, name in enumerate(names):
        if j % math.ceil(LINE / cell) == 0:
            x, y = round(NAMES + (j + 0.5) * cell, 1), round(head - 8, 1)
            full = tag("title", shorten(name, 200)) if len(name) > LETTERS else Markup("")
            turn, words = f"rotate(-45 {x:g} {y:g})", shorten(name, LETTERS)
            labels.append(tag("text", words, full, x=x, y=y, transform=turn, class_="tick start"))
    return labels


def _cells(counts: Sequence[Sequence[int]], sizes: Sequence[int], grid: _Grid) -> list[Markup]:
    cell, tall, head = grid.cell, grid.tall, grid.head
    most = max((count for row in counts for count in row), default=0)
    has_numbers = tall >= ROW and len(str(most)) * LETTER <= cell - 2
    gap = 1.5 if cell > SMALL else 0.75
    squares: dict[str, list[str]] = {}
    figures: dict[str, list[Markup]] = {}
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            x, y = NAMES + j * cell, head + (i + 0.5) * tall
            kind = f"{'heat' if i == j or not count else 'miss'}{share_level(count, sizes[i])}"
            squares.setdefault(kind, []).append(f"M{x:.5g} {y:.5g}h{cell - gap:.4g}")
            if has_numbers and (count or i == j):
                label = text(round(x + cell / 2, 1), round(y + 5, 1), str(count), "count middle")
                figures.setdefault(kind, []).append(label)
    paths = [
        tag("path", d="".join(squares[kind]), class_=kind, stroke_width=tall - gap)
        for kind in sorted(squares)
    ]
    names = {kind: kind.replace("heat", "on").replace("miss", "on-miss") for kind in figures}
    return paths + [tag("g", *figures[kind], class_=names[kind]) for kind in sorted(figures)]
