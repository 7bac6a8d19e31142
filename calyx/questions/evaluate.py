"""evaluate: judge the model of a round on the validation rows; a training may do the same first."""

from collections.abc import Mapping

from calyx.questions.judging import evaluation_layout, figures_of
from calyx.questions.question import Question
from calyx.questions.segments import Contents, Inquiry, Segments
from calyx.vector.contribution import Cells
from calyx.vector.figures import Figures


def segments(inquiry: Inquiry) -> Segments:
    """Counts of one evaluation."""
    return Segments(evaluations=(evaluation_layout(inquiry),))


def say(contents: Contents, counts: Mapping[str, Cells]) -> Figures:
    """Loss and scores over all rows."""
    return figures_of(contents, counts, "validation rows")


QUESTION = Question(
    kind="evaluate",
    message_type="evaluate",
    shown="validating",
    noun="evaluation",
    model="after",
    part="validation",
    answer="judge",
    counted="evaluations",
    segments=segments,
    say=say,
)
