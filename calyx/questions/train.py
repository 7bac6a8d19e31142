"""train: learn from the training rows, and send the update."""

from calyx.model.metrics import CAPPED, CLIPPED, LOSS
from calyx.questions.judging import evaluation_layout
from calyx.questions.question import Question
from calyx.questions.segments import Inquiry, Segments
from calyx.vector.contribution import Layout


def segments(inquiry: Inquiry) -> Segments:
    """The update, the loss and what was cut; with `is_validated` also the incoming weights' evaluation.

    What was cut are coordinates of the update, and the rows of a client that has more than `w_max`.
    """
    contents, privacy = inquiry.contents, inquiry.privacy
    sent = (LOSS, *contents.metrics)
    w_max, cut = privacy.w_max(contents.w_max), (CLIPPED, CAPPED)
    train = Layout(privacy.fixed_point(), w_max, contents.tensors, sent, cut)
    return Segments(train, (evaluation_layout(inquiry),) if inquiry.is_validated else ())


QUESTION = Question(
    kind="train",
    message_type="train",
    shown="training",
    noun="training",
    model="before",
    part="train",
    answer="learn",
    counted="trainings",
    segments=segments,
)
