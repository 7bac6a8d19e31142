"""What a card's prediction sets would be like: for a few coverages, what is in one. Pure."""

import numpy as np

from calyx.model.conformal import find_least, find_radius
from calyx.pages.card_figures import FigureLine
from calyx.releases.card import Card
from calyx.words.digits import ABSENT, number_text, percent_text

OF = (
    "how the true answers of test rows scored: sets that hold the truth as often as is asked for, of rows "
    "like these"
)
_COVERAGES = (0.8, 0.9, 0.95, 0.99)


def set_lines(card: Card) -> list[FigureLine]:
    """A line a coverage; none where the release has no scores."""
    part, target = card.conformal, card.schema.target
    if part is None:
        return []
    cells, lines = np.array(part.counts, dtype=np.int64), []
    for coverage in _COVERAGES:
        label, value = f"In {100 * coverage:g} % of rows", ABSENT
        if target is None:
            least = find_least(cells, part.ends, coverage)
            value = f"classes of {percent_text(least)} or more" if least else "every class"
        elif (radius := find_radius(cells, part.ends, coverage)) is not None:
            value = f"± {number_text(radius * target.scale)}"
        why = "" if value != ABSENT else "too few test rows are near enough"
        lines.append(FigureLine(label, value, why))
    return lines
