"""What an evaluation of a model counts on a client's rows, and which figures the sums tell.

Questions that judge differ in the rows, and in what else they count: see their own files.
"""

from collections.abc import Iterable, Mapping

from calyx.model.metrics import PERSONAL, evaluation_terms, figures
from calyx.questions.segments import Contents, Inquiry, count_alike, over_of
from calyx.vector.contribution import Cells, Count, Layout
from calyx.vector.figures import Figures


def evaluation_layout(inquiry: Inquiry, more: Iterable[Count] = ()) -> Layout:
    """The segment of one evaluation: of the common model, of clients' own, and `more`."""
    schema, over = inquiry.contents.task.schema, over_of(inquiry.privacy)
    counts = evaluation_terms(schema, over)
    if inquiry.contents.has_personal:
        counts += evaluation_terms(schema, over, PERSONAL)
    return count_alike(inquiry.privacy, (*counts, *more))


def figures_of(contents: Contents, counts: Mapping[str, Cells], rows: str) -> Figures:
    """The figures of an evaluation's sums, by name; those of clients' own models too, if any.

    `rows` says in words which rows were asked for.
    """
    schema, empty = contents.task.schema, f"no client of this round has {rows}"
    told = figures(schema, counts, empty=empty)
    if contents.is_localised:
        told |= told.with_prefix(PERSONAL)
    if contents.has_personal:
        told |= figures(schema, counts, PERSONAL, empty).with_prefix(PERSONAL)
    return told
