"""test: judge the released model on the test rows, once, with more detail than a validation."""

from collections.abc import Mapping

from calyx.model.conformal import conformal_terms
from calyx.model.details import detail_terms
from calyx.model.spread import client_spread, spread_terms
from calyx.questions.judging import evaluation_layout, figures_of, robust_figures, robust_terms
from calyx.questions.question import Question
from calyx.questions.segments import Contents, Inquiry, Segments, over_of
from calyx.vector.contribution import Cells
from calyx.vector.figures import Figures


def segments(inquiry: Inquiry) -> Segments:
    """Counts of one evaluation, of scores of clients and rows, and of a classifier's confusions.

    Where the terms say how rows are moved, also of one on the same rows, moved.
    """
    schema, over = inquiry.contents.task.schema, over_of(inquiry.privacy)
    more = spread_terms(schema) + detail_terms(schema, over) + conformal_terms(schema, over)
    return Segments(evaluations=(evaluation_layout(inquiry, (*more, *robust_terms(inquiry))),))


def say(contents: Contents, counts: Mapping[str, Cells]) -> Figures:
    """Loss and scores over all rows, and how the clients' scores spread."""
    spread: Figures = client_spread(contents.task.schema, counts)
    rows = "test rows"
    return figures_of(contents, counts, rows) | spread | robust_figures(contents, counts, rows)


QUESTION = Question(
    kind="test",
    message_type="evaluate.test",
    shown="testing the best model",
    noun="test",
    model="after",
    part="test",
    answer="judge",
    counted="scores",
    segments=segments,
    say=say,
)
