"""How the rows of a training were distributed: counts a column, against which later rows are compared.

They are the audit's own sums over sites, so that nothing here is of one site. What sites hid is counted
beside them: a row that is hidden may lie in any cell. Shapes: B bins, J categories.
"""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from calyx.config.section import NonNegativeInt, config

Finite = Annotated[float, Field(ge=-1e308, le=1e308)]
Role = Literal["column", "image", "target"]  # image: the mean of all pixels of a row


@config
class ColumnBaseline:
    """One column, one image, or the target of a regression.

    Numbers have `edges` and `counts`, categories have `codes` and `counts`. Where `absent` says why
    there are no counts, whether a value is usual is not known.
    """

    name: str
    role: Role = "column"
    edges: tuple[Finite, ...] = ()  # [B + 1], ascending, from the declared low to the declared high
    codes: tuple[Finite, ...] = ()  # [J] in the order of the schema's categories
    counts: tuple[NonNegativeInt, ...] = ()  # [B] or [J] rows
    margin: NonNegativeInt = 0  # rows that a count of a bin may be off by at most
    outside: NonNegativeInt = 0  # rows beyond the declared range, or of an undeclared category
    missing: NonNegativeInt | None = None  # rows without a value; None where no site tells
    hidden: NonNegativeInt = 0  # rows of which it is not told in which cell they are
    mean: Finite | None = None  # of a number, within its range; None where it is not told
    sd: Finite | None = None
    absent: str = ""  # why there are no counts: a clause without a full stop

    def __post_init__(self) -> None:
        """Raise ValueError for counts that do not fit their cells, and for edges that do not ascend."""
        cells = len(self.edges) - 1 if self.edges else len(self.codes)
        if self.edges and self.codes:
            raise ValueError(
                f"{self.name} has edges and codes, and is either a number or a category"
            )
        if bool(self.counts) == bool(self.absent):
            raise ValueError(f"{self.name} has counts, or a reason why there are none")
        if self.counts and len(self.counts) != cells:
            raise ValueError(f"{self.name} has {len(self.counts)} counts of {cells} cells")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"the edges of {self.name} do not ascend")


@config
class Baseline:
    """All columns in the schema's order, the image, the target, and the classes."""

    sites: NonNegativeInt
    rows: NonNegativeInt | None  # None where not all sites tell
    labels: tuple[
        NonNegativeInt, ...
    ] = ()  # rows of each class; none of a regression, or if not told
    hidden_labels: NonNegativeInt = 0  # rows of which the class is not told
    columns: tuple[ColumnBaseline, ...]
