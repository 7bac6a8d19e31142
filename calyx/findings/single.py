"""What one site alone shows is left out: its sum over sites would be that site's own figures.

The protocol adds up; it cannot keep from the server which cells are one site's. Whoever reads the
sums here does not publish them, nor fit anything on them. Shapes: V variables, R with a range.
See docs/decisions/0025.
"""

from collections.abc import Mapping

import numpy as np

from calyx.data.schema import Schema
from calyx.survey.blocks import Cells
from calyx.survey.variables import Variable, categorical, numeric

LEAST = 2  # sites that show values of a variable
# What a block counts the sites of, by variable.
_OF = {
    "shown_moments": ("present", "sum", "square", "joined_share", "change"),
    "shown_histogram": ("cells", "open"),
    "shown_categories": ("category", "unknown"),
}


def without_single(cells: Mapping[str, Cells], schema: Schema) -> dict[str, Cells]:
    """The cells of a sample, by block, as if the one site that shows a variable did not."""
    left = dict(cells)
    sizes = [len(v.categories) for v in categorical(schema)]
    for count, names in _OF.items():
        if count not in cells:
            continue
        is_enough = cells[count] >= LEAST
        for name in names:
            kept = np.repeat(is_enough, sizes) if name == "category" else is_enough
            wide = kept.reshape(-1, *[1] * (cells[name].ndim - 1))
            left[name] = np.where(wide, cells[name], 0)
    if "spread_mean" in cells and "shown_moments" in cells:
        left["spread_mean"] = np.where(cells["shown_moments"] >= LEAST, cells["spread_mean"], 0)
    return left


def is_single(variable: Variable, cells: Mapping[str, Cells], schema: Schema) -> bool:
    """Whether something of a variable is left out, since one site alone shows it."""
    ranged, named = numeric(schema), categorical(schema)
    if variable in ranged:
        place, names = ranged.index(variable), ["shown_moments", "shown_histogram"]
    elif variable in named:
        place, names = named.index(variable), ["shown_categories"]
    else:
        return False
    return any(int(cells[name][place]) == 1 for name in names if name in cells)
