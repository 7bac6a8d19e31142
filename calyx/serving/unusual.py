"""Which values of a request are far from what the training saw. They are answered all the same, and told.

A number is unusual where its bin of the release's baseline and the two beside it hold at most 1 in 200 of
the training's rows (`TAIL`) and the whole bin lies more than three standard deviations from their mean
(`FAR`). A category is unusual which at most 1 in 200 of the rows had, even if all hidden ones were of it. A
value beyond the declared range, or of no declared category, is unusual unless more rows of the training
than that had one. An image is one value, the mean of its pixels, and is named as the audit names it.
Missing values, text, and columns without counts are never unusual: unknown is not unusual.

Sites do not tell their farthest values, so that a value which a few of their rows had may be told as
unusual: it is a flag for a person to look, and no verdict.

Shapes: N rows, V variables with counts, as in `population`.
"""

from calyx.serving.population import Cells, Population


def find_unusual(population: Population, cells: Cells) -> list[tuple[str, ...]]:
    """The names of the unusual columns of each row, from the rows' `population.find_cells` [N, V]."""
    flags = population.is_unusual[cells]
    if not flags.any():
        return [()] * len(cells)
    names = [one.name for one in population.known]
    return [
        tuple(name for name, is_unusual in zip(names, row, strict=True) if is_unusual)
        for row in flags.tolist()
    ]
