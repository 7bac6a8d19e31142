"""cv: judge the models of all folds of a cross-validation, each on the rows that it has not seen."""

from collections.abc import Mapping

from calyx.model.spread import spread_terms
from calyx.questions.judging import evaluation_layout, figures_of
from calyx.questions.question import Question
from calyx.questions.segments import Contents, Inquiry, Segments
from calyx.run.order import Order
from calyx.vector.contribution import Cells
from calyx.vector.figures import Figures


def segments(inquiry: Inquiry) -> Segments:
    """Counts of one evaluation a fold; with `cv.k=clients` of one, since each client scores its own."""
    spread = spread_terms(inquiry.contents.task.schema)
    return Segments(evaluations=(evaluation_layout(inquiry, spread),) * (inquiry.terms.folds or 1))


def say(contents: Contents, counts: Mapping[str, Cells]) -> Figures:
    """Loss and scores of one fold, over all its rows."""
    return figures_of(contents, counts, "rows in this fold")


def num_folds(order: Order) -> int:
    """Models that the order of a cross-validation carries: one a fold, or one a client."""
    return order.terms.folds or sum(map(len, order.groups))


def scored_folds(order: Order, client: str) -> list[int]:
    """The folds whose models `client` scores in a cross-validation: all, or its own only."""
    if order.terms.folds:
        return list(range(order.terms.folds))
    return [sorted(name for group in order.groups for name in group).index(client)]


QUESTION = Question(
    kind="cv",
    message_type="evaluate.cv",
    shown="scoring the folds",
    noun="scoring of folds",
    model="folds",
    part="test",
    answer="judge",
    counted="scores",
    segments=segments,
    say=say,
)
