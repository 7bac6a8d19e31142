"""The curves of a comparison's settings, against rounds and against bytes."""

from collections.abc import Callable, Sequence

from cli.ranking.standings import Group, Line
from cli.report.charts import Axes, Band, Series, line_chart
from cli.report.figures import BY_BYTES, BY_ROUND, Figure
from cli.report.folder import Run
from cli.report.groups import (
    Runs,
    by_round,
    bytes_so_far,
    curve,
    points,
    repetitions,
    runs_of,
    validation_error,
    validation_score,
)
from cli.report.marks import STRONG, kind_of, letter_of
from cli.report.rows import Round
from cli.report.scales import byte_unit
from cli.report.svg import Caption

Curve = list[tuple[float, float, float]]


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
    kinds = (
        (error, validation_error, False),
        (f"Validation {metric}", validation_score, metric == "accuracy"),
    )
    found = []
    for label, xs, whole in along:
        for name, figure, percent in kinds:
            curves = [(i, _curve(line, runs, figure, xs)) for i, line in enumerate(group.lines)]
            drawn = [(i, rows) for i, rows in reversed(curves) if rows]  # the best on top
            if drawn:
                axes = Axes(label, x_whole=whole, y_percent=percent)
                found.append(_figure(name, axes, drawn, prefix))
    return found


def _curve(
    line: Line,
    runs: Runs,
    figure: Callable[[Run, Round], float | None],
    xs: Callable[[Run], list[float]],
) -> Curve:
    return curve(repetitions(line, runs), figure, xs)


def _figure(name: str, axes: Axes, drawn: Sequence[tuple[int, Curve]], prefix: str) -> Figure:
    series = [
        Series(letter_of(i, prefix).strip("–"), kind_of(i), points(rows)) for i, rows in drawn
    ]
    bands = [
        Band(kind_of(i), [(x, y - sd, y + sd) for x, y, sd in rows])
        for i, rows in drawn
        if i < STRONG and any(sd for _, _, sd in rows)
    ]
    by = "bytes" if axes.x_label.startswith(BY_BYTES) else "round"
    key = f"{prefix}{name}-{by}".replace(" ", "-")
    caption = Caption(key, f"{name} against {axes.x_label}", name)
    note = "Mean over seeds, with one standard deviation." if bands else "One seed each."
    return Figure(f"{name} by {by}", note, line_chart(caption, axes, series, bands=bands))
