"""Drawings with one row a client: a dot plot and a heat map whose rows line up. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from calyx.pages.scales import Scale, round_domain, score_text, shorten, tick_text, ticks
from calyx.pages.svg import Caption, draw, line, tag, text

WIDTH = 520
NAMES, EDGE = 118, 504  # where the names' column ends, and the plot
TOP = 46  # first row's upper edge; ticks and column names are above
ROW, THIN_ROW = 26, 6  # heights
MOST_NAMED = 40  # clients whose rows are high enough for a name
LETTER = 9.4  # width of a letter at the size of a narrow screen
LEVELS = 8  # colours above zero


@dataclass(frozen=True)
class ClientDots:
    """One client's two accuracies, which are not on the same rows; None was not measured."""

    name: str
    local: float | None  # its own model, on everybody's test rows
    federated: float | None  # the federated model, on its own test rows


def dot_plot(
    caption: Caption, rows: Sequence[ClientDots], reference: float | None, metric: str = "accuracy"
) -> Markup:
    """A dot for the client alone, a ring for the federated model, a line at `reference`.

    What is below 0 is drawn at 0.
    """
    known = [v for row in rows for v in (row.local, row.federated) if v is not None]
    known += [] if reference is None else [reference]
    low, high, step = round_domain(known, 5, zero=False)
    least = 0.0 if min(known, default=0.0) >= 0 else low  # an R² below 0 is drawn where it is
    x = Scale(max(least, low), min(1.0, high), NAMES + 8, EDGE - 8, is_bounded=True)
    height = row_height(len(rows))
    bottom = TOP + len(rows) * height
    parts = [*_names([row.name for row in rows]), *_shares(x, step, bottom, reference, metric)]
    if reference is not None:
        side = "start" if x(reference) < (NAMES + EDGE) / 2 else "end"
        label = f"federated {score_text(reference, metric)}"
        parts += [
            line((x(reference), TOP - 24), (x(reference), bottom), "reference"),
            text(x(reference), TOP - 30, label, f"label federated {side}"),
        ]
    for index, row in enumerate(rows):
        parts += _dots(row, x, TOP + (index + 0.5) * height, height)
    return draw(caption, WIDTH, bottom + 6, parts)


def heat_map(
    caption: Caption, names: Sequence[str], classes: Sequence[str], counts: Sequence[Sequence[int]]
) -> Markup:
    """Rows are clients, columns labels; `counts[client][label]`. Zero stays an empty cell."""
    columns = max(len(classes), 1)
    cell = max((EDGE - NAMES) / columns, 12.0)
    width = max(float(WIDTH), NAMES + cell * columns + 16)
    height = row_height(len(names))
    most = max((count for row in counts for count in row), default=0)
    numbers = height == ROW and len(str(most)) * LETTER <= cell - 2
    squares: dict[int, list[str]] = {}
    figures: dict[int, list[Markup]] = {}
    gap = 1.5 if height == ROW else 0.5
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            x, y = NAMES + j * cell, TOP + i * height
            at = level(count, most)
            squares.setdefault(at, []).append(f"M{x:.4g} {y + height / 2:g}h{cell - gap:.3g}")
            if numbers and count:
                label = text(round(x + cell / 2, 1), y + 18, str(count), "count middle")
                figures.setdefault(at, []).append(label)
    parts = [*_names(names), *_columns(classes, cell)]
    # One path of short, thick strokes a colour: a cell costs 13 bytes, so that 300 clients × 60
    # labels still fit.
    parts += [
        tag("path", d="".join(squares[at]), class_=f"heat{at}", stroke_width=height - gap)
        for at in sorted(squares)
    ]
    parts += [tag("g", *figures[at], class_=f"on{at}") for at in sorted(figures)]
    return draw(caption, width, TOP + len(names) * height + 6, parts, wide=width > WIDTH)


def level(count: int, most: int) -> int:
    """The colour of a count: 0 for none, else 1 to LEVELS in equal steps up to `most`."""
    return 0 if count == 0 else min(LEVELS, 1 + LEVELS * (count - 1) // most)


def row_height(num_clients: int) -> int:
    """Rows are high enough for a name while there are few."""
    return ROW if num_clients <= MOST_NAMED else THIN_ROW


def _shares(
    x: Scale, step: float, bottom: float, reference: float | None, metric: str
) -> list[Markup]:
    """The grid; a tick's label gives way to the reference line that would strike it through."""
    parts = []
    for value in ticks(x.low, x.high, step):
        parts.append(line((x(value), TOP), (x(value), bottom), "grid"))
        if reference is None or abs(x(value) - x(reference)) > 2 * LETTER:
            label = tick_text(100 * value, 100 * step) + "%"
            if metric != "accuracy":
                label = tick_text(value, step)
            parts.append(text(x(value), TOP - 8, label, "tick middle"))
    return parts


def _names(names: Sequence[str]) -> list[Markup]:
    if row_height(len(names)) != ROW:
        return [text(NAMES - 10, TOP + 14, f"{len(names)} clients", "tick end")]
    return [
        text(NAMES - 10, TOP + index * ROW + 18, shorten(name, 11), "tick end", name)
        for index, name in enumerate(names)
    ]


def _columns(classes: Sequence[str], cell: float) -> list[Markup]:
    """The names of the columns, as many as have room side by side, and shortened to it."""
    wanted = min(max((len(name) for name in classes), default=0), 6) + 0.5
    every = math.ceil(wanted * LETTER / cell)
    letters = max(2, int(every * cell / LETTER))
    place, side = (0.5, "middle") if every == 1 else (0.0, "start")
    return [
        text(NAMES - 10, TOP - 8, "label", "axis end"),
        *(
            text(NAMES + (j + place) * cell, TOP - 8, shorten(name, letters), f"tick {side}", name)
            for j, name in enumerate(classes)
            if j % every == 0
        ),
    ]


def _dots(row: ClientDots, x: Scale, y: float, height: int) -> list[Markup]:
    radius = 5.5 if height == ROW else 2.5
    parts = [line((NAMES, y), (EDGE, y), "guide")] if height == ROW else []
    if row.federated is not None:
        parts.append(tag("circle", cx=x(row.federated), cy=y, r=radius, class_="dot own"))
    if row.local is not None:
        parts.append(tag("circle", cx=x(row.local), cy=y, r=radius, class_="dot local"))
    return parts
