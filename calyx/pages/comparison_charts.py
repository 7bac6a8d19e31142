"""The curves of a comparison's settings, against rounds and against bytes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calyx.pages.charts import Axes, Band, Series, line_chart
from calyx.pages.figures import BY_BYTES, BY_ROUND, Figure
from calyx.pages.folder import Run
from calyx.pages.groups import (
    STRONG,
    Runs,
    by_round,
    bytes_so_far,
    colour_of,
    curve,
    letter_of,
    points,
    repetitions,
    runs_of,
    validation_error,
    validation_score,
)
from calyx.pages.ranking.standings import Group
from calyx.pages.scales import byte_unit
from calyx.pages.svg import Caption

Curve = list[tuple[float, float, float]]


@dataclass(frozen=True)
class _Kind:
    """A figure's name, and between what it can be: no band is drawn outside."""

    name: str
    possible: tuple[float, float]


def learning_figures(group: Group, runs: Runs, prefix: str) -> list[Figure]:
    """Validation curves of the settings of one group, which are of the same rows and unit."""
    members = runs_of(group.lines, runs)
    metric = members[0].metric
    most = max((b for run in members for b in bytes_so_far(run)[-1:]), default=0.0)
    factor, unit = byte_unit(most)

    def traffic(run: Run) -> list[float]:
        return [b / factor for b in bytes_so_far(run)]

    along = ((BY_ROUND, by_round, True), (f"{BY_BYTES} ({unit})", traffic, False))
    error = "Validation loss" if metric == "accuracy" else "Validation RMSE"
    is_share = metric == "accuracy"
    kinds = (
        (_Kind(error, (0.0, math.inf)), validation_error, False),
        (
            _Kind(f"Validation {metric}", (0.0 if is_share else -math.inf, 1.0)),
            validation_score,
            is_share,
        ),
    )
    figures = []
    for label, xs, whole in along:
        for kind, figure, percent in kinds:
            curves = [
                (i, curve(repetitions(line, runs), figure, xs))
                for i, line in enumerate(group.lines)
            ]
            drawn = [(i, rows) for i, rows in reversed(curves) if rows]  # the best on top
            if drawn:
                axes = Axes(label, x_whole=whole, y_percent=percent)
                figures.append(_figure(kind, axes, drawn, prefix))
    return figures


def _figure(kind: _Kind, axes: Axes, drawn: Sequence[tuple[int, Curve]], prefix: str) -> Figure:
    series = [
        Series(letter_of(i, prefix).strip("–"), colour_of(i), points(rows)) for i, rows in drawn
    ]
    (low, high), name = kind.possible, kind.name
    bands = [
        Band(colour_of(i), [(x, max(low, y - sd), min(high, y + sd)) for x, y, sd in rows])
        for i, rows in drawn
        if i < STRONG and any(sd for _, _, sd in rows)
    ]
    is_cut = any(y - sd < low or y + sd > high for _, rows in drawn for _, y, sd in rows)
    by = "bytes" if axes.x_label.startswith(BY_BYTES) else "round"
    key = f"{prefix}{name}-{by}".replace(" ", "-")
    caption = Caption(key, f"{name} against {axes.x_label}", name)
    note = "Mean over seeds, with one standard deviation" if bands else "One seed each"
    note += ", as far as a figure can be." if bands and is_cut else "."
    return Figure(f"{name} by {by}", note, line_chart(caption, axes, series, bands=bands))
