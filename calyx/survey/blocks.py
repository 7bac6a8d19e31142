"""What stands in a vector of statistics: blocks of counts, by item and sample.

An item is what a site can refuse as a whole. A sample is a part of the rows: `all` of them for the
audit, or those on which a preprocessing is fitted, of which less is measured.

Shapes: V variables, R of them with a range, J categories in all, K classes.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from calyx.config.section import config
from calyx.data.schema import Schema
from calyx.survey import places
from calyx.survey.moments import SHARES, SQUARE_MAX, SUM_MAX
from calyx.survey.spread import LINES, POWER_MAX
from calyx.survey.variables import categorical, numeric, variables
from calyx.vector.contribution import COUNT_MAX, Count
from calyx.vector.weighing import POWERS, SITES_BY_ROWS

Item = Literal[
    "rows",
    "labels",
    "duplicates",
    "missing",
    "ranges",
    "moments",
    "histograms",
    "categories",
    "correlation",
    "spread",
]
ITEMS: tuple[Item, ...] = get_args(Item)
ALL = "all"  # the sample of the audit
TRAIN = "train"  # the rows that preprocessing may be fitted on
FIT_ITEMS: tuple[Item, ...] = ("rows", "missing", "ranges", "moments", "histograms", "categories")
MEAN_STEPS = 60  # bits: a site's mean, as a share of the declared range, is in steps of 2^-60
TARGET_LINES = 3  # rows, Σ and Σ of squares of a regression's target
WITHHELD = "withheld"

Cells = NDArray[np.int64]


@config
class StatisticsConfig:
    """The part of the section `audit` that travels."""

    bins: Annotated[int, Field(ge=2, le=256)]  # of each histogram as it is shown and compared
    thorough: bool  # whether clients also look for what only they can see, for themselves


def fold_name(fold: int) -> str:
    """The sample of the rows that a fold's model may see."""
    return f"fold-{fold}"


@dataclass(frozen=True)
class Block:
    """Cells of one item in one sample; `maximum` is of one client."""

    name: str
    item: Item
    shape: tuple[int, ...]
    maximum: int = COUNT_MAX

    @property
    def size(self) -> int:
        """How many cells the block has."""
        return int(np.prod(self.shape))

    @property
    def is_wide(self) -> bool:
        """Whether its cells are Python's integers, as the vector's are."""
        return Count(self.name, self.size, self.maximum).is_wide


@dataclass(frozen=True)
class Survey:
    """What is measured in one exchange, the same for all clients."""

    schema: Schema
    bins: int  # of each histogram as it is shown and compared; what sites send is finer
    samples: tuple[str, ...]
    is_weighed: bool = False  # whether it asks how many rows sites train on, for their weights

    def blocks(self, sample: str) -> tuple[Block, ...]:
        """The blocks of a sample, in order."""
        items = ITEMS if sample == ALL else FIT_ITEMS
        return tuple(b for b in _blocks(self.schema) if b.item in items and b.size)

    def counts(self) -> tuple[Count, ...]:
        """Everything, as the vector names it: of each sample its blocks, and who withheld an item."""
        counts = []
        for sample in self.samples:
            blocks = self.blocks(sample)
            counts += [Count(f"{sample}/{b.name}", b.size, b.maximum) for b in blocks]
            counts.append(Count(f"{sample}/{WITHHELD}", len(ITEMS)))
        if self.is_weighed:
            counts.append(Count(SITES_BY_ROWS, POWERS, 1))
        return tuple(counts)


def _blocks(schema: Schema) -> list[Block]:
    v, r, k = len(variables(schema)), len(numeric(schema)), len(schema.classes)
    named = categorical(schema)
    j, targets = sum(len(c.categories) for c in named), 0 if k else r
    return [
        Block("rows", "rows", (1,)),
        Block("labels", "labels", (k,)),
        Block("hidden_labels", "labels", (1 if k else 0,)),
        Block("hidden_label_rows", "labels", (1 if k else 0,)),
        Block("duplicates", "duplicates", (1,)),
        Block("duplicates_open", "duplicates", (1,)),  # that sites hide, at most
        Block("missing", "missing", (v,)),
        Block("coded", "missing", (v,)),
        Block("coded_open", "missing", (v,)),  # more or fewer of them, at most
        Block("absent", "missing", (v,)),  # sites that have no value of a variable at all
        Block("hidden", "missing", (v,)),  # sites that hid a small cell of a variable
        Block("outside", "ranges", (r, 2)),
        Block("unknown", "ranges", (len(named),)),
        # Sites that show any value of a variable: of one site alone a sum is no sum.
        Block("shown_moments", "moments", (r,)),
        Block("shown_histogram", "histograms", (r,)),
        Block("shown_categories", "categories", (len(named),)),
        Block("shown_correlation", "correlation", (v,)),
        Block("present", "moments", (r,)),
        Block("sum", "moments", (r,), SUM_MAX),
        Block("square", "moments", (r,), SQUARE_MAX),
        Block("moved", "moments", (r, 3)),  # joined, left, changed: at most
        Block(
            "joined_share", "moments", (r, SHARES)
        ),  # sites by the share of squares of joined rows
        Block("change", "moments", (r,), SQUARE_MAX),
        Block("cells", "histograms", (r, *places.shape(r))),
        Block("open", "histograms", (r, 4)),  # rows without a least, a greatest value; joined, left
        Block("category", "categories", (j,)),
        Block("hidden_rows", "categories", (len(named),)),  # of rare categories, or missing
        Block("class_present", "correlation", (r, k)),
        Block("class_sum", "correlation", (r, k), SUM_MAX),
        Block("class_square", "correlation", (r if k else 0,), SQUARE_MAX),
        Block("class_category", "correlation", (j, k)),
        Block("class_missing", "correlation", (v, k)),
        Block("class_total", "correlation", (v, k)),  # rows of sites whose class_missing is known
        Block("shown_marks", "correlation", (v if k else 0,)),
        # Rows, Σ and Σ of squares of a regression's target, by what holes and categories tell.
        Block("target_whole", "correlation", (0 if k else v, TARGET_LINES), SQUARE_MAX),
        Block("target_missing", "correlation", (0 if k else v, TARGET_LINES), SQUARE_MAX),
        Block("target_category", "correlation", (0 if k else j, TARGET_LINES), SQUARE_MAX),
        Block("shown_target", "correlation", (0 if k else v,)),
        Block("pairs", "correlation", (targets,)),  # rows that have the target, too
        Block("pair_sums", "correlation", (targets, 2), SUM_MAX),  # of the column, of the target
        Block("pair_squares", "correlation", (targets, 3), SQUARE_MAX),  # and of their product
        Block("spread_mean", "spread", (3, r), 1 << 2 * MEAN_STEPS),  # with the number of sites
        Block("few_valued", "spread", (r,)),  # sites that have two or three different values
        Block("powers_missing", "spread", (LINES, v), POWER_MAX),
        Block("powers_mean", "spread", (LINES, r), POWER_MAX),
        Block("powers_label", "spread", (LINES, k), POWER_MAX),
        Block("powers_category", "spread", (LINES, j), POWER_MAX),
    ]
