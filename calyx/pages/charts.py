"""Charts over rounds or bytes, and the comparison bars: plain numbers in, one SVG out. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from calyx.pages.scales import (
    Point,
    Scale,
    common_power,
    pick,
    power_text,
    push_apart,
    round_domain,
    score_text,
    thin,
    tick_step,
    tick_text,
    ticks,
)
from calyx.pages.svg import Caption, draw, line, pen, tag, text

WIDTH, HEIGHT = 520, 284
LEFT, RIGHT, TOP, BOTTOM = 58, 404, 30, 230  # the edges of the plot; labels live outside
MOST_POINTS = 300  # of one line; finer than the pixels it is drawn on
MOST_DOTS = 12  # points of one line that are shown as dots too
LABEL_GAP = 20  # between baselines, for the larger letters of a narrow screen
BAR_PITCH = 54
R2_FLOOR = -1.0  # worse than useless; how much worse, no drawing needs to show


@dataclass(frozen=True)
class Axes:
    """What the axes mean.

    `y_percent` shows shares of one, 0 … 1, and `y_r2` R² from R2_FLOOR to 1: what is beyond is drawn at
    the edge. `y_zero` starts at zero.
    """

    x_label: str
    x_whole: bool = True
    y_percent: bool = False
    y_r2: bool = False
    y_zero: bool = False


@dataclass(frozen=True)
class Series:
    """One line: the label at its end, its CSS class, its points by ascending x."""

    name: str
    kind: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Band:
    """An area between two lines, (x, low, high) by ascending x, behind the line of its class."""

    kind: str
    rows: Sequence[tuple[float, float, float]]


@dataclass(frozen=True)
class Mark:
    """A place on the x axis that is worth a word; `y` is the point on a line, if there is one."""

    x: float
    y: float | None
    label: str


@dataclass(frozen=True)
class Spread:
    """How one figure is spread over the clients at `x`."""

    x: float
    low: float
    first_quartile: float
    median: float
    third_quartile: float
    high: float


@dataclass(frozen=True)
class Bar:
    """One share of the comparison; a value of None was not measured."""

    name: str
    kind: str
    value: float | None


@dataclass(frozen=True)
class _Plot:
    x: Scale
    y: Scale
    grid: Markup


def line_chart(
    caption: Caption,
    axes: Axes,
    series: Sequence[Series],
    mark: Mark | None = None,
    *,
    bands: Sequence[Band] = (),
) -> Markup:
    """Lines with their names at their ends, over `bands`. `mark` is a dashed line and a ring."""
    thinned = [thin(one.points, MOST_POINTS) for one in series]
    known = [(x, y) for points in thinned for x, y in points if y is not None]
    xs = [x for one in series for x, _ in one.points]
    edges = [y for band in bands for _, low, high in band.rows for y in (low, high)]
    plot = _plot(axes, xs, [*(y for _, y in known), *edges])
    areas = [_band(plot, band.rows, band.kind) for band in bands]
    lines = [
        stroke
        for one, points in zip(series, thinned, strict=True)
        for stroke in _strokes(plot, one.kind, points)
    ]
    parts = [plot.grid, *areas, *_mark(plot, mark), *lines, *_end_labels(plot, series)]
    return draw(caption, WIDTH, HEIGHT, [*parts, *_ring(plot, mark)])


def spread_chart(caption: Caption, axes: Axes, spreads: Sequence[Spread]) -> Markup:
    """Bands from the lowest to the highest and between the quartiles, and the median's line."""
    drawn = [spreads[index] for index in pick(len(spreads), MOST_POINTS)]
    plot = _plot(axes, [s.x for s in spreads], [y for s in drawn for y in (s.low, s.high)])
    last = drawn[-1]
    end = Series(
        score_text(last.median, "accuracy" if axes.y_percent else "R²"),
        "federated",
        [(last.x, last.median)],
    )
    parts = [
        plot.grid,
        _band(plot, [(s.x, s.low, s.high) for s in drawn], "range"),
        _band(plot, [(s.x, s.first_quartile, s.third_quartile) for s in drawn], "quartiles"),
        *_strokes(plot, "federated", [(s.x, s.median) for s in drawn]),
        *_end_labels(plot, [end]),
    ]
    return draw(caption, WIDTH, HEIGHT, parts)


def bar_chart(caption: Caption, bars: Sequence[Bar], metric: str = "accuracy") -> Markup:
    """Horizontal bars from 0 to 1, name and value above each; one below 0 has no length."""
    scale = Scale(0, 1, 0, WIDTH, is_bounded=True)
    parts: list[Markup] = []
    for index, bar in enumerate(bars):
        top = index * BAR_PITCH
        parts += [
            text(0, top + 18, bar.name, "name"),
            text(WIDTH, top + 18, score_text(bar.value, metric), "value end"),
            _box(0, top + 27, WIDTH, "track"),
        ]
        if bar.value is not None:
            parts.append(_box(0, top + 27, scale(bar.value), f"bar {bar.kind}"))
    return draw(caption, WIDTH, len(bars) * BAR_PITCH - 10, parts)


def _box(x: float, y: float, width: float, kind: str) -> Markup:
    return tag("rect", x=x, y=y, width=width, height=14, rx=2, class_=kind)


def _plot(axes: Axes, xs: Sequence[float], ys: Iterable[float]) -> _Plot:
    floor = 0.0 if axes.y_percent else R2_FLOOR if axes.y_r2 else None
    shown = ys if floor is None else [min(max(y, floor), 1.0) for y in ys]
    low, high, step = round_domain(shown, 5, axes.y_zero)
    if floor is not None:
        low, high = max(floor, low), min(1.0, high)
    y = Scale(low, high, BOTTOM, TOP, is_bounded=floor is not None)
    first, last = (min(xs), max(xs)) if axes.x_whole else (0.0, max(xs))
    if first == last:
        first, last = first - 0.5, last + 0.5
    x = Scale(first, last, LEFT, RIGHT)
    across = _y_ticks(y, step, axes.y_percent)
    along = _x_ticks(x, tick_step(last - first, 6, axes.x_whole))
    label = text((LEFT + RIGHT) / 2, HEIGHT - 8, axes.x_label, "axis middle")
    return _Plot(x, y, Markup("").join([*across, *along, label]))


def _y_ticks(y: Scale, step: float, percent: bool) -> list[Markup]:
    """Lines and labels; of numbers that are too long for their room the power of ten is above."""
    values, parts = ticks(y.low, y.high, step), []
    power = 0 if percent else common_power(values, step)
    if power:
        parts.append(text(LEFT - 8, TOP - 12, power_text(power), "tick end"))
    factor = 10.0**power
    for value in values:
        label = tick_text(value / factor, step / factor)
        if percent:
            label = tick_text(100 * value, 100 * step) + "%"
        parts += [
            line((LEFT, y(value)), (RIGHT, y(value)), "grid"),
            text(LEFT - 8, y(value) + 5, label, "tick end"),
        ]
    return parts


def _x_ticks(x: Scale, step: float) -> list[Markup]:
    parts = [line((LEFT, BOTTOM), (RIGHT, BOTTOM), "base")]
    for value in ticks(x.low, x.high, step):
        parts += [
            line((x(value), BOTTOM), (x(value), BOTTOM + 5), "base"),
            text(x(value), BOTTOM + 21, tick_text(value, step), "tick middle"),
        ]
    return parts


def _strokes(plot: _Plot, kind: str, points: Sequence[Point]) -> list[Markup]:
    """A line, and a dot at each of its points while there are few."""
    pixels = [(plot.x(x), None if y is None else plot.y(y)) for x, y in points]
    dots = [(x, y) for x, y in pixels if y is not None] if len(points) <= MOST_DOTS else []
    return [
        tag("path", d=pen(pixels), class_=f"line {kind}"),
        *(tag("circle", cx=x, cy=y, r=3.5, class_=f"point {kind}") for x, y in dots),
    ]


def _band(plot: _Plot, rows: Sequence[tuple[float, float, float]], kind: str) -> Markup:
    """An area between two lines; for a single x a bar of some width, so that it can be seen."""
    if len(rows) == 1:
        ((x, low, high),) = rows
        edges = [(plot.x(x) - 12, low, high), (plot.x(x) + 12, low, high)]
    else:
        edges = [(plot.x(x), low, high) for x, low, high in rows]
    there = [(x, plot.y(low)) for x, low, _ in edges]
    back = [(x, plot.y(high)) for x, _, high in reversed(edges)]
    return tag("path", d=pen([*there, *back]) + "Z", class_=f"band {kind}")


def _end_labels(plot: _Plot, series: Sequence[Series]) -> list[Markup]:
    """Each series' name beside its last known point, moved apart where they would touch."""
    lasts = [next((y for _, y in reversed(s.points) if y is not None), None) for s in series]
    named = [(s, y) for s, y in zip(series, lasts, strict=True) if y is not None]
    places = push_apart([plot.y(y) + 5 for _, y in named], LABEL_GAP, TOP + 5, BOTTOM + 5)
    return [
        text(RIGHT + 10, place, one.name, f"label {one.kind}")
        for (one, _), place in zip(named, places, strict=True)
    ]


def _mark(plot: _Plot, mark: Mark | None) -> list[Markup]:
    if mark is None:
        return []
    x = plot.x(mark.x)
    side = "start" if x < LEFT + 90 else "end" if x > RIGHT - 90 else "middle"
    return [
        line((x, TOP - 6), (x, BOTTOM), "mark"),
        text(x, TOP - 12, mark.label, f"tick {side}"),
    ]


def _ring(plot: _Plot, mark: Mark | None) -> list[Markup]:
    if mark is None or mark.y is None:
        return []
    return [tag("circle", cx=plot.x(mark.x), cy=plot.y(mark.y), r=5, class_="ring")]
