"""What an evaluation of a model counts on a client's rows, and which figures the sums tell.

Questions that judge differ in the rows, and in what else they count: see their own files.
"""

from collections.abc import Iterable, Mapping

from calyx.model.metrics import PERSONAL, ROBUST, evaluation_terms, figures
from calyx.questions.segments import Contents, Inquiry, count_alike, over_of
from calyx.vector.contribution import Cells, Count, Layout
from calyx.vector.figures import Figures


def evaluation_layout(inquiry: Inquiry, more: Iterable[Count] = ()) -> Layout:
    """The segment of one evaluation: of the common model, of clients' own, and `more`."""
    return count_alike(inquiry.privacy, (*_terms(inquiry), *more))


def robust_terms(inquiry: Inquiry) -> tuple[Count, ...]:
    """What a test counts beside, where the terms say how rows are moved: a second evaluation, of these."""
    return () if inquiry.terms.robust is None else _terms(inquiry, ROBUST)


def _terms(inquiry: Inquiry, prefix: str = "") -> tuple[Count, ...]:
    schema, over = inquiry.contents.task.schema, over_of(inquiry.privacy)
    counts = evaluation_terms(schema, over, prefix)
    if inquiry.contents.has_personal:
        counts += evaluation_terms(schema, over, f"{prefix}{PERSONAL}")
    return counts


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


def robust_figures(contents: Contents, counts: Mapping[str, Cells], rows: str) -> Figures:
    """The figures of a test's `robust_terms`, by names that begin with `ROBUST`; none without them."""
    own = {k.removeprefix(ROBUST): v for k, v in counts.items() if k.startswith(ROBUST)}
    return figures_of(contents, own, rows).with_prefix(ROBUST) if own else Figures({})
