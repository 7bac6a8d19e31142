"""robust: judge the model of a round on validation rows that are moved against it, as the terms say.

Each client moves its own rows: nobody else sees them, moved or not. It is of a model as an evaluation is,
and counted as one: docs/decisions/0093.
"""

from collections.abc import Mapping

from calyx.model.metrics import ROBUST
from calyx.questions.judging import evaluation_layout, figures_of
from calyx.questions.question import Question
from calyx.questions.segments import Contents, Inquiry, Segments
from calyx.vector.contribution import Cells
from calyx.vector.figures import Figures


def segments(inquiry: Inquiry) -> Segments:
    """Counts of one evaluation."""
    return Segments(evaluations=(evaluation_layout(inquiry),))


def say(contents: Contents, counts: Mapping[str, Cells]) -> Figures:
    """Loss and scores over all rows, as they were moved: `robust_accuracy` and so on."""
    return figures_of(contents, counts, "validation rows").with_prefix(ROBUST)


QUESTION = Question(
    kind="robust",
    message_type="evaluate.robust",
    shown="moving rows against the model",
    noun="robust evaluation",
    model="after",
    part="validation",
    answer="withstand",
    counted="evaluations",
    segments=segments,
    say=say,
)
