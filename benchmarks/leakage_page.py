"""What `benchmarks.leakage` measured, and how it is shown: tables on a terminal, and one page.

The page has the style of a run's report and needs no network and no script. It measures nothing.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from rich.table import Table

from benchmarks.imprint import SUMS, Read, lines
from calyx.pages.scales import Scale
from calyx.pages.svg import Caption, draw, line, pen, tag, text
from calyx.words.digits import THIN

SIDE = 8  # pixels of an image, each way
INKS = 16  # grey values above paper
WIDTH, HEIGHT = 640, 560
LEFT, RIGHT, TOP, BOTTOM = 58, 622, 16, 500  # edges of the plot
DECADES = 3.3  # of examples, from 1 to 2,000
KINDS = {1: "one", 4: "four", 16: "sixteen", 64: "sixtyfour", None: "real"}  # batch → CSS class


@dataclass(frozen=True)
class Example:
    """One client with one example: pixels [64] of 0 to 1, its class, and what the attack returned."""

    image: tuple[float, ...]
    label: int
    plain_image: tuple[float, ...]
    plain_label: int
    masked_image: tuple[float, ...]
    masked_label: int


@dataclass(frozen=True)
class View:
    """The attack on one view of the updates of single examples."""

    recovered: float  # share of images with a relative error below the bound
    labels: float  # share of classes read off the last layer's bias
    median_error: float  # ‖x̂ − x‖ / ‖x‖
    worst_error: float
    correlation: float  # Pearson's over 64 pixels, mean over images
    absolute_correlation: float  # mean of |correlation|; noise has 0.10
    alike: float  # share of images that some unit shows at a cosine above the bound


@dataclass(frozen=True)
class Sum:
    """The attack on sums over `cohort` clients; shares are means over seeds."""

    clients: str  # what each of them trained on
    batch: int | None  # examples of each in one full-batch step; None for real clients
    cohort: int
    examples: float  # in a sum; a mean where clients differ
    recovered: float
    deviation: float  # standard deviation of `recovered` over seeds
    outsiders: float  # share of images outside the sum that pass the same test


@dataclass(frozen=True)
class Figures:
    """All that was measured, and by what bounds."""

    seeds: int
    singles: int
    exact: float  # bound of the relative error
    alike: float  # bound of the cosine
    plain: View
    masked: View
    sums: tuple[Sum, ...]
    chosen: tuple[Read, ...]  # by a server that chooses weights and hyper-parameters


def tables(figures: Figures) -> list[Table]:
    """The figures for a terminal: the two views, then the sums."""
    views = Table("", "in the clear", "masked", title=f"{figures.singles} updates of one example")
    for name, field in (
        ("images recovered exactly", "recovered"),
        ("labels read", "labels"),
        ("relative error, median", "median_error"),
        ("relative error, worst", "worst_error"),
        ("correlation with the image", "correlation"),
        ("… its absolute value", "absolute_correlation"),
    ):
        pair = (getattr(figures.plain, field), getattr(figures.masked, field))
        show = share if field in ("recovered", "labels") else "{:.4f}".format
        views.add_row(name, *map(show, pair))
    sums = Table(title=f"Images recovered from a sum, mean of {figures.seeds} seeds")
    sums.add_column("each client trains on")
    for name in ("clients", "examples", "recovered", "± seeds", "outsiders"):
        sums.add_column(name, justify="right")
    for i, one in enumerate(figures.sums):
        last = i + 1 == len(figures.sums) or figures.sums[i + 1].clients != one.clients
        shares = (one.recovered, one.deviation, one.outsiders)
        sums.add_row(
            one.clients,
            str(one.cohort),
            f"{one.examples:.0f}",
            *map(share, shares),
            end_section=last,
        )
    chosen = Table(title="Rows that a server reads which chooses the weights, csv, six sites")
    chosen.add_column("what the sites' policies allow")
    for name in ("from one sum", f"from {SUMS}"):
        chosen.add_column(name, justify="right")
    for row in lines(figures.chosen):
        chosen.add_row(*row)
    return [views, sums, chosen]


def render(figures: Figures, examples: Sequence[Example]) -> bytes:
    """The page as UTF-8; `examples` are the columns of its gallery."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["share"] = share
    template = environment.from_string(_page())
    style = files("calyx.pages").joinpath("page.css").read_text(encoding="utf-8") + _STYLE
    grid = {(one.cohort, one.batch): one for one in figures.sums if one.batch}
    return template.render(
        style=Markup(style),  # noqa: S704 - our own files
        figures=figures,
        examples=examples,
        images=[_images(i, example) for i, example in enumerate(examples)],
        curve=_curve(figures.sums),
        kinds=KINDS,
        grid=grid,
        cohorts=sorted({cohort for cohort, _ in grid}),
        batches=sorted({batch for _, batch in grid if batch}),
        real=[one for one in figures.sums if one.batch is None],
        chosen=lines(figures.chosen),
        num_sums=SUMS,
    ).encode()


def _page() -> str:
    return files("benchmarks").joinpath("leakage.html.j2").read_text(encoding="utf-8")


def share(value: float) -> str:
    """A share in percent: 0 only for nothing, 100 only for all."""
    percent = 100 * value
    if 0 < percent < 0.05:
        return f"<{THIN}0.1{THIN}%"
    digits = 0 if value in (0.0, 1.0) else 1
    return f"{percent:.{digits}f}{THIN}%"


def _images(key: int, one: Example) -> tuple[Markup, Markup, Markup]:
    """The true image and the two found. Noise is stretched to its own range, all it can tell."""
    low, high = min(one.masked_image), max(one.masked_image)
    noise = [(value - low) / (high - low) for value in one.masked_image]
    return (
        _image(Caption(f"true-{key}", f"A handwritten {one.label}", ""), one.image),
        _image(Caption(f"plain-{key}", f"The same {one.label}, recovered", ""), one.plain_image),
        _image(Caption(f"masked-{key}", "Noise", ""), noise),
    )


def _image(caption: Caption, pixels: Iterable[float]) -> Markup:
    """An image as one path a grey value; pixels beyond 0 and 1 are cut."""
    strokes: dict[int, str] = {}
    for i, value in enumerate(pixels):
        ink = round(INKS * min(max(value, 0.0), 1.0))
        strokes[ink] = strokes.get(ink, "") + f"M{i % SIDE} {i // SIDE}h1v1h-1z"
    inks = sorted(strokes.keys() - {0})
    paths = [tag("path", d=strokes[ink], fill_opacity=f"{ink / INKS:.3g}") for ink in inks]
    return draw(caption, SIDE, SIDE, paths)


def _curve(sums: Sequence[Sum]) -> Markup:
    """Recovered share against examples in the sum, on a logarithmic axis; a line for batch 1."""
    x, y = Scale(0, DECADES, LEFT, RIGHT), Scale(0, 1, BOTTOM, TOP)
    places = {id(one): (x(math.log10(one.examples)), y(one.recovered)) for one in sums}
    curve = pen(places[id(one)] for one in sums if one.batch == 1)
    parts = [*_axes(x, y), tag("path", d=curve, class_="line one")]
    for one in sorted(sums, key=lambda one: one.batch or 0, reverse=True):
        at = places[id(one)]
        hint = f"{one.cohort} × {one.clients}: {share(one.recovered)}"
        kind = f"spot {KINDS[one.batch]}"
        parts.append(tag("circle", tag("title", hint), cx=at[0], cy=at[1], r=5, class_=kind))
    caption = Caption(
        "curve",
        "Images recovered against examples in the sum",
        "All of one example; about one in a hundred of a hundred examples; the table has the figures.",
    )
    return draw(caption, WIDTH, HEIGHT, parts)


def _axes(x: Scale, y: Scale) -> list[Markup]:
    parts = []
    for percent in (0, 20, 40, 60, 80, 100):
        at = y(percent / 100)
        parts += [
            line((LEFT, at), (RIGHT, at), "grid" if percent else "base"),
            text(LEFT - 8, at + 5, f"{percent}%", "tick end"),
        ]
    for examples in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        at = x(math.log10(examples))
        parts += [
            line((at, BOTTOM), (at, BOTTOM + 5), "base"),
            text(at, BOTTOM + 22, f"{examples:,}", "tick middle"),
        ]
    label = "examples in the sum: clients × examples of each"
    return [*parts, text((LEFT + RIGHT) / 2, HEIGHT - 10, label, "axis middle")]


_STYLE = """
.gallery { margin-top: 20px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
.view { display: grid; grid-template-columns: 272px 1fr; gap: 28px; align-items: center; padding: 22px 28px; }
.view + .view { border-top: 1px solid var(--rule); }
.view h2 { margin: 0; font-size: 18px; } .view p { color: var(--soft); font-size: 14px; }
.view .verdict { font-size: 44px; margin: 2px 0 4px; }
.images { list-style: none; display: grid; grid-template-columns: repeat(10, 1fr); gap: clamp(3px, 1vw, 12px); }
.images li { text-align: center; font-size: 14px; font-variant-numeric: tabular-nums; color: var(--soft); min-width: 0; }
.images svg { background: var(--track); border-radius: 3px; overflow: hidden; shape-rendering: crispEdges; margin-bottom: 4px; }
.images path { fill: var(--ink); }
.wrong { color: var(--no); text-decoration: line-through; }
.sums { display: grid; grid-template-columns: 7fr 6fr; gap: 16px; }
.sums > * { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 16px 18px; min-width: 0; }
.line.one { stroke: var(--local); }
.spot { stroke: var(--card); stroke-width: 1.5; } .one { fill: var(--local); background: var(--local); } .line.one { fill: none; }
.four { fill: var(--federated); background: var(--federated); } .sixteen { fill: var(--pooled); background: var(--pooled); }
.sixtyfour { fill: var(--soft); background: var(--soft); }
.spot.real { fill: var(--card); stroke: var(--no); stroke-width: 2.5; }
.legend .swatch { width: 11px; height: 11px; border-radius: 50%; } .swatch.real { border: 2.5px solid var(--no); }
h3 + p { color: var(--soft); font-size: 14px; margin-bottom: 8px; }
.sums th, .sums td { padding: 5px 10px; }
table + h3 { margin-top: 24px; } td.some { font-weight: 620; } td.none { color: var(--soft); }
.notes { max-width: 88ch; padding-left: 20px; } .notes li { margin-bottom: 8px; }
@media (max-width: 1000px) { .sums, .view { grid-template-columns: 1fr; } .view { gap: 14px; } }
@media (max-width: 600px) { .view { padding: 16px; } .images li { font-size: 12px; } .sums > * { padding: 12px 10px; } }
"""  # noqa: E501 - style sheet
