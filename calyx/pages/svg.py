"""SVG elements as escaped text. Colours and fonts are the page's, through CSS classes."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from calyx.pages.scales import Point, shorten


@dataclass(frozen=True)
class Caption:
    """What a reader hears who cannot see a drawing; `key` is unique in the page."""

    key: str
    title: str
    description: str


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """One element. Attributes: `_` becomes `-`, a trailing one falls, None is left out.

    Children that are not Markup, and all attribute values, are escaped.
    """
    text = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _value(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, text, Markup("").join(children))


def draw(
    caption: Caption, width: float, height: float, parts: Iterable[Markup], wide: bool = False
) -> Markup:
    """A whole SVG of `width` × `height` units with a text twin.

    It scales with the page; a `wide` one keeps its size, and its frame scrolls.
    """
    return tag(
        "svg",
        tag("title", caption.title, id=f"{caption.key}-title"),
        tag("desc", caption.description, id=f"{caption.key}-desc"),
        *parts,
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        width=width,
        height=height,
        class_="wide" if wide else None,
        role="img",
        aria_labelledby=f"{caption.key}-title {caption.key}-desc",
    )


def text(x: float, y: float, content: str, kind: str, full: str | None = None) -> Markup:
    """A label with its baseline at (x, y); `kind` is its CSS classes, `full` the whole text."""
    title = tag("title", shorten(full, 200)) if full is not None and full != content else Markup("")
    return tag("text", content, title, x=x, y=y, class_=kind)


def line(start: tuple[float, float], end: tuple[float, float], kind: str) -> Markup:
    """A straight line; `kind` is its CSS classes."""
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=kind)


def pen(points: Iterable[Point]) -> str:
    """The path data of a line through pixels; a y of None lifts the pen.

    A point alone between two gaps becomes a line of no length, which a round cap shows as a dot.
    """
    pieces: list[list[str]] = [[]]
    for x, y in points:
        if y is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{_value(x)} {_value(y)}")
    return "".join(
        "M" + "L".join(piece) + ("h0" if len(piece) == 1 else "") for piece in pieces if piece
    )


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.1f}".removesuffix(".0").replace("-0.0", "0")
